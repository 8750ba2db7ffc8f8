/** Bodies of any size: /down/BYTES, /up (answers the number of bytes read), /blocks/COUNT of 100 bytes each. */
const BLOCK = Buffer.alloc(64 * 1024, 'x');
const SMALL = Buffer.alloc(100, 'x');

export function application(environ, startResponse) {
  const [, action, amount] = environ.PATH_INFO.split('/');
  if (action === 'up') return countBody(environ['wsgi.input'], startResponse);
  const headers = [['Content-Type', 'application/octet-stream']];
  if (action === 'down') headers.push(['Content-Length', amount]);
  startResponse('200 OK', headers);
  return action === 'down' ? blocksOf(Number(amount)) : smallBlocks(Number(amount));
}

function countBody(input, startResponse) {
  let bytes = 0;
  for (let chunk = input.read(BLOCK.length); chunk.length > 0; chunk = input.read(BLOCK.length)) {
    bytes += chunk.length;
  }
  const body = Buffer.from(`${bytes}\n`);
  startResponse('200 OK', [
    ['Content-Type', 'text/plain'],
    ['Content-Length', String(body.length)],
  ]);
  return [body];
}

function* blocksOf(bytes) {
  for (let left = bytes; left > 0; left -= BLOCK.length)
    yield left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
}

function* smallBlocks(count) {
  for (let index = 0; index < count; index++) yield SMALL;
}
