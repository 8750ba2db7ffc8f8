/** Requests of known cost: /tiny, and /cpu/MS for so many milliseconds of work on one core. */
import { burn, unitsPerMs } from './burn.js';

export function application(environ, startResponse) {
  const path = environ.PATH_INFO;
  if (path.startsWith('/cpu/')) burn(Number(path.slice('/cpu/'.length)) * unitsPerMs);
  const body = Buffer.from('done\n');
  startResponse('200 OK', [
    ['Content-Type', 'text/plain'],
    ['Content-Length', String(body.length)],
  ]);
  return [body];
}
