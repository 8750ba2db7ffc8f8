/** Main thread. Short blocks for a client that takes less than comes: one that waits by itself takes a hundred bytes beside its own. */
import type { ResponseSink } from './response-sink.js';

/** Where blocks go. */
export type BlockOutlet = Pick<ResponseSink, 'write' | 'end' | 'onceDrained'>;

/** Text up to this length is put together with what follows it. Characters. */
const SHORT = 1024;
/** So much of it goes on as one piece. Characters. */
const ENOUGH = 4096;

/** Passes blocks on, and joins short ones from when the sink has said that it is full until it has passed on everything. */
export class ShortBlocks implements BlockOutlet {
  readonly #sink: BlockOutlet;
  #text = '';
  #isFull = false;

  constructor(sink: BlockOutlet) {
    this.#sink = sink;
  }

  write(block: string | Uint8Array, giveBack?: () => void): boolean {
    if (this.#isFull && typeof block === 'string' && block.length <= SHORT) {
      this.#text += block;
      if (this.#text.length >= ENOUGH) this.#passOn();
      return false;
    }
    if (this.#text !== '') this.#passOn();
    this.#isFull = !this.#sink.write(block, giveBack);
    return !this.#isFull;
  }

  end(block: string | Uint8Array): void {
    if (this.#text !== '') this.#passOn();
    this.#sink.end(block);
  }

  onceDrained(listener: () => void): void {
    this.#sink.onceDrained(() => {
      this.#isFull = false;
      if (this.#text === '' || this.#passOn()) listener();
      else this.onceDrained(listener);
    });
  }

  /** As bytes: text that was joined from many pieces takes more than they did until somebody reads it. */
  #passOn(): boolean {
    const bytes = Buffer.from(this.#text, 'latin1');
    this.#text = '';
    this.#isFull = !this.#sink.write(bytes);
    return !this.#isFull;
  }
}
