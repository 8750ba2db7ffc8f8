/** The floor: node:http on one thread, and nothing else. Usage: node node-http.mjs PORT */
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { answer, blocks, countBody } from './handler.mjs';

const server = createServer((request, response) => {
  if (/^\/(up|down|blocks)/.test(request.url)) stream(request, response);
  else send(response, answer(request.url));
});
server.listen(Number(process.argv[2]), '127.0.0.1', 4096);

function send(response, body) {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
  response.end(body);
}

async function stream(request, response) {
  const [, action, amount] = request.url.split('/');
  if (action === 'up') return send(response, await countBody(request));
  response.setHeader('Content-Type', 'application/octet-stream');
  if (action === 'down') response.setHeader('Content-Length', amount);
  Readable.from(blocks(action, Number(amount))).pipe(response);
}
