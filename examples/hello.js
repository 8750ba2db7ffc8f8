// The smallest application: lido examples/hello.js
export function application(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain; charset=utf-8']]);
  const path = Buffer.from(environ.PATH_INFO, 'latin1').toString();
  return [`Hello from Lido! You asked for ${path}\n`];
}
