/**
 * Main thread. The address of a host, asked for now and then: each question takes one of the few threads that read and write
 * files, too, and keeps it for as long as no server of names answers.
 */
import dns from 'node:dns';

/** What was told is believed for so long, and asked for anew after that, while it serves on. Milliseconds. */
const BELIEVED_MS = 60_000;
/** Where nothing was told. Milliseconds. */
const RETRY_MS = 5000;

type Told = (error: Error | null, address: string) => void;

export class HostAddress {
  readonly #host: string;
  readonly #waiting: Told[] = [];
  #address = '';
  #error: Error | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isAsking = false;

  constructor(host: string) {
    this.#host = host;
  }

  /** As dgram.createSocket() takes it, which asks for the address that it binds to as well. */
  readonly lookup = (host: string, family: number, told: Told): void => {
    if (host === this.#host) this.#tell(family, told);
    else dns.lookup(host, family, told);
  };

  #tell(family: number, told: Told): void {
    const dueMs = this.#error === null ? BELIEVED_MS : RETRY_MS;
    if (!this.#isAsking && performance.now() - this.#askedAt > dueMs) this.#ask(family);
    if (this.#address !== '') told(null, this.#address);
    else if (this.#isAsking) this.#waiting.push(told);
    else told(this.#error, '');
  }

  #ask(family: number): void {
    this.#isAsking = true;
    dns.lookup(this.#host, family, (error, address) => {
      this.#isAsking = false;
      this.#askedAt = performance.now();
      this.#error = error;
      if (error === null) this.#address = address;
      for (const told of this.#waiting.splice(0)) told(error, address);
    });
  }
}
