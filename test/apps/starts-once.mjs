// Loads only while the file that STARTS_ONCE names exists; ends its worker when it is asked to.
import { existsSync } from 'node:fs';

if (!existsSync(process.env.STARTS_ONCE)) throw new Error('may not start');

export function application(environ, startResponse) {
  if (environ.PATH_INFO === '/exit') process.exit(1);
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['started'];
}
