/** Main thread. Bytes as they came, kept where they lie: in one packet nearly always, and then nothing is made to keep them. */
export class KeptBytes {
  #packet: Buffer | null = null;
  #start = 0;
  #end = 0;
  #earlier: Buffer[] | null = null;

  keep(packet: Buffer, start: number, end: number): void {
    if (this.#packet !== null) {
      this.#earlier ??= [];
      this.#earlier.push(this.#packet.subarray(this.#start, this.#end));
    }
    this.#packet = packet;
    this.#start = start;
    this.#end = end;
  }

  drop(): void {
    this.#packet = null;
    this.#earlier = null;
  }

  /** Latin-1; '' where the packet's memory has gone to another thread. */
  asText(): string {
    const packet = this.#packet;
    if (packet === null || packet.length === 0) return '';
    const last = packet.toString('latin1', this.#start, this.#end);
    return this.#earlier === null ? last : Buffer.concat(this.#earlier).toString('latin1') + last;
  }
}
