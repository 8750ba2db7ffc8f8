// A typed application with a typed middleware: lido examples/typed.ts
// Then: curl --data-binary @README.md http://127.0.0.1:8000/
import type { Application, Environ, StartResponse } from 'lido';

const countWords: Application = (environ, startResponse) => {
  if (environ.REQUEST_METHOD !== 'POST') {
    startResponse('405 Method Not Allowed', [
      ['Allow', 'POST'],
      ['Content-Type', 'text/plain'],
    ]);
    return ['POST a text, and its words are counted\n'];
  }
  const counts = new Map<string, number>();
  for (const line of environ['wsgi.input'])
    for (const [word] of line
      .toString('utf8')
      .toLowerCase()
      .matchAll(/\p{L}+/gu))
      counts.set(word, (counts.get(word) ?? 0) + 1);
  const most = [...counts].sort(([a, first], [b, second]) => second - first || a.localeCompare(b));
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  return [JSON.stringify(Object.fromEntries(most.slice(0, 10)))];
};

/** Adds a header that says how long the application took until it started its response, in milliseconds. */
function withTiming(inner: Application): Application {
  return (environ: Environ, startResponse: StartResponse) => {
    const begin = performance.now();
    return inner(environ, (status, headers, excInfo) => {
      const duration = (performance.now() - begin).toFixed(1);
      return startResponse(status, [...headers, ['Server-Timing', `app;dur=${duration}`]], excInfo);
    });
  };
}

export const application = withTiming(countWords);
