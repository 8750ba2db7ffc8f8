/** Main thread. What a client has sent and nobody has looked at yet: packets, in the order in which they came. */
import { sharedMemory } from './shared-memory.js';

export class Unread {
  #packets: Buffer[] = [];
  #position = 0;
  #length = 0;

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  get isEmpty(): boolean {
    return this.#packets.length === 0;
  }

  /** The packet that is to be looked at next; only where it is not empty. */
  get first(): Buffer {
    return this.#packets[0] as Buffer;
  }

  /** Where in the first packet. */
  get position(): number {
    return this.#position;
  }

  push(packet: Buffer): void {
    this.#packets.push(packet);
    this.#length += packet.length;
  }

  /** The first packet was looked at up to here. */
  skipTo(position: number): void {
    this.#length -= position - this.#position;
    this.#position = position;
    if (position < this.first.length) return;
    this.#packets.shift();
    this.#position = 0;
  }

  /** What is left of the packet that was pushed last is here to stay: it outlives the memory that it came in. */
  keep(): void {
    const last = this.#packets.pop();
    if (last === undefined) return;
    const isFirst = this.#packets.length === 0;
    this.#packets.push(sharedMemory.own(isFirst ? last.subarray(this.#position) : last));
    if (isFirst) this.#position = 0;
  }

  /** All of it in one piece, in memory of its own; it stays here. */
  copy(): Buffer {
    const [first = Buffer.alloc(0), ...others] = this.#packets;
    return Buffer.concat([first.subarray(this.#position), ...others]);
  }

  clear(): void {
    this.#packets = [];
    this.#position = 0;
    this.#length = 0;
  }
}
