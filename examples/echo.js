// Sends back what was uploaded, as it arrives: lido --no-request-buffering examples/echo.js
// Then: curl -T big.file http://127.0.0.1:8000/ -o copy.file
// Neither side is ever held in memory whole.
const BLOCK_BYTES = 64 * 1024;

export function application(environ, startResponse) {
  const type = environ.CONTENT_TYPE || 'application/octet-stream';
  startResponse('200 OK', [['Content-Type', type]]);
  return readBlocks(environ['wsgi.input']);
}

function* readBlocks(input) {
  for (;;) {
    const block = input.read(BLOCK_BYTES);
    if (block.length === 0) return;
    yield block;
  }
}
