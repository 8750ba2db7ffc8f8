/** The scenarios' routes for plain Node servers: what apps/javascript answers, without a gateway between. */
import { burn, unitsPerMs } from '../apps/javascript/burn.js';

export const HELLO = Buffer.from('Hello, world!\n');
const DONE = Buffer.from('done\n');
const BLOCK = Buffer.alloc(64 * 1024, 'x');
const SMALL = Buffer.alloc(100, 'x');

/** The body of a request that is answered in one piece. */
export function answer(path) {
  if (path === '/') return HELLO;
  if (path.startsWith('/cpu/')) burn(Number(path.slice('/cpu/'.length)) * unitsPerMs);
  return DONE;
}

/** The blocks of /down/BYTES and /blocks/COUNT. */
export function* blocks(action, amount) {
  if (action === 'blocks') for (let index = 0; index < amount; index++) yield SMALL;
  else
    for (let left = amount; left > 0; left -= BLOCK.length)
      yield left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
}

/** The number of bytes of a request's body. */
export async function countBody(stream) {
  let bytes = 0;
  for await (const chunk of stream) bytes += chunk.length;
  return Buffer.from(`${bytes}\n`);
}
