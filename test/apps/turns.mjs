// For pipelined requests: each run says in the log when it begins and ends.

/** Sleeps for so many milliseconds as the query says, and answers with the path and the length of the body. */
export function turns(environ, startResponse) {
  const { PATH_INFO, SCRIPT_NAME, QUERY_STRING } = environ;
  const log = (word) => environ['wsgi.errors'].write(`${word} ${SCRIPT_NAME}${PATH_INFO}\n`);
  log('began');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(QUERY_STRING));
  const { length } = environ['wsgi.input'].read();
  log('ended');
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [Buffer.from(`${PATH_INFO} ${length}`)];
}
