/** The smallest answer that is one: every server's own cost, and nothing else. */
const body = Buffer.from('Hello, world!\n');
const headers = [
  ['Content-Type', 'text/plain'],
  ['Content-Length', String(body.length)],
];

export function application(_environ, startResponse) {
  startResponse('200 OK', headers);
  return [body];
}
