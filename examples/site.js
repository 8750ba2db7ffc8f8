// Two middlewares: the pictures of docs/ as files, an application beside them, and each under a path of its own.
//   lido examples/site.js
//   curl -i http://127.0.0.1:8000/docs/mandelbrot.png -H 'Range: bytes=0-7'
import { paths } from 'lido/paths';
import { staticFiles } from 'lido/static';

const docs = staticFiles(new URL('../docs', import.meta.url), { maxAge: 3600 });

function home(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/html; charset=utf-8']]);
  return [`<img src="${environ.SCRIPT_NAME}/docs/mandelbrot.png" alt="The Mandelbrot set">\n`];
}

export const application = paths({ '/docs': docs, '/': home });
