/** Main thread. Memory in blocks of one size that are used again and again: what was just used is still in the processor's caches. */

/** Written at a multiple of its size, it costs a file system two thirds of what other pieces do. Bytes. */
export const BLOCK_SIZE = 256 * 1024;
/** Blocks that are kept while nobody needs them. */
const MOST_KEPT = 8;

const kept: Buffer[] = [];
const known = new WeakSet<ArrayBufferLike>();

export function takeBlock(): Buffer {
  const old = kept.pop();
  if (old !== undefined) return old;
  const block = Buffer.allocUnsafeSlow(BLOCK_SIZE);
  known.add(block.buffer);
  return block;
}

/** Gives back what is a whole block, and nothing else: false. The caller alone knows it. */
export function giveBack(bytes: Uint8Array): boolean {
  if (bytes.length !== BLOCK_SIZE || !known.has(bytes.buffer)) return false;
  if (kept.length < MOST_KEPT) kept.push(bytes as Buffer);
  return true;
}
