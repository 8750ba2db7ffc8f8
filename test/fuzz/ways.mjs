// npm run fuzz:ways -- [--seconds 60] [--seed N]
// The same bytes to both ways in, whole and cut: how many requests each sees, their environs and bodies, and whether it
// refuses. Lido's own HTTP must not care where a packet ends; where node:http takes another view is written down below.
import http from 'node:http';
import { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createJiti } from 'jiti';
import { Budget } from '../../dist/src/http/budget.js';
import { takeIn } from '../../dist/src/http/node-request.js';
import { HttpConnection } from '../../dist/src/http/wire/connection.js';
import { mutate } from './mutate.mjs';
import { createRandom } from './random.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const random = createRandom(seed);
const { corpus } = await createJiti(import.meta.url).import(`${root}test/corpus/requests.ts`);
const bases = Object.values(corpus)
  .flat()
  .map(({ request }) => request)
  .filter((request) => request.length < 4000);

const LIMITS = { requestLine: 8190, fields: 100, fieldSize: 8190 };
const budget = new Budget(Number.POSITIVE_INFINITY);
const GATE = { ...LIMITS, maxBodySize: 0 };
const CLIENT = {
  scheme: 'http',
  host: null,
  serverName: 'server',
  serverPort: '80',
  remoteAddress: '10.0.0.1',
  remotePort: '1',
};
const CONTEXT = { requestId: 'id', url: null, scriptName: '', contentLength: null, extra: null };
const OK = {
  status: 200,
  reason: 'OK',
  fields: ['Content-Length', '2'],
  contentLength: 2,
  mayHaveBody: true,
};
const FORBIDDEN = { ...OK, status: 400, reason: 'Bad Request' };
/** Turns of the event loop after which nothing more comes of what was sent. */
const TURNS = 8;

/**
 * Where node:http's parser is more lenient or stricter than Lido's, which keeps to the grammar; docs/protocol.md says what
 * becomes of it. `served`: by whom more is served.
 */
const KNOWN = [
  {
    name: 'several spaces in the request line',
    served: 'node',
    pattern: /^\S+ {2,}\S+ +HTTP|^\S+ +\S+ {2,}HTTP/m,
  },
  { name: 'RTSP and ICE for HTTP', served: 'node', pattern: /(?:RTSP|ICE)\/\d\.\d\r\n/ },
  {
    name: 'a method that node:http does not know',
    served: 'own',
    pattern: /^[A-Z][A-Z0-9_-]* \S+ HTTP\/1\.[01]\r\n/m,
  },
  { name: 'a chunk extension', served: 'node', pattern: /^[0-9a-fA-F]+;/m },
  {
    name: 'an empty line before a request that ends without a CR',
    served: 'node',
    isReason: true,
    pattern: /^a line ends with CR and LF/,
  },
  { name: 'a bare CR before a request', served: 'node', pattern: /(?:^|[^\r])\r(?!\n)/ },
  { name: 'what follows an expectation without a body', served: 'either', pattern: /^expect:/im },
  { name: 'what follows an Upgrade', served: 'either', pattern: /^upgrade:/im },
];

/** One end of a connection in memory. */
class End extends Duplex {
  peer = null;
  bytesWritten = 0;
  encrypted = undefined;

  constructor() {
    super({ allowHalfOpen: true, highWaterMark: 1 << 20 });
    this.on('error', () => {});
  }

  _read() {}

  _write(chunk, _encoding, done) {
    this.bytesWritten += chunk.length;
    this.peer?.push(Buffer.from(chunk));
    done();
  }

  _final(done) {
    if (!this.peer.destroyed) this.peer.push(null);
    done();
  }

  _destroy(error, done) {
    const { peer } = this;
    if (peer !== null && !peer.destroyed && !peer.readableEnded) peer.push(null);
    done(error);
  }

  destroySoon() {
    if (!this.writableEnded) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  setTimeout() {}
  setNoDelay() {}
  setKeepAlive() {}
}

/** Node's own server with the gate behind it. */
const nodeServer = http.createServer({
  requireHostHeader: false,
  maxHeaderSize: 1_000_000,
  keepAliveTimeout: 0,
});
nodeServer.maxHeadersCount = 0;
nodeServer.httpAllowHalfOpen = true;
const take = (request, response) => takeIn(request, response, null, null, request.socket.seen.handle);
nodeServer.on('request', take).on('checkContinue', take).on('checkExpectation', take);
nodeServer.on('connect', (_request, socket) => refuse(socket));
nodeServer.on('clientError', (_error, socket) => refuse(socket));

function refuse(socket) {
  socket.seen.refused = true;
  socket.destroy();
}

/** Sends the pieces, each when the one before it was looked at, and says what was made of them. */
async function send(connect, pieces) {
  const [client, server] = [new End(), new End()];
  client.peer = server;
  server.peer = client;
  client.resume();
  const seen = { requests: [], refused: false };
  seen.handle = (request, sink) => answer(seen, request, sink);
  server.seen = seen;
  connect(server, seen);
  for (const piece of pieces) {
    if (!client.destroyed && !client.writableEnded) client.write(Buffer.from(piece, 'latin1'));
    await turns(2);
  }
  await turns(TURNS);
  // A body that is not whole yet is not called broken before the end.
  const open = seen.requests.map(({ body }) => body);
  client.end();
  await turns(TURNS);
  client.destroy();
  server.destroy();
  return {
    requests: seen.requests.map(({ environ }, index) => ({ environ, body: open[index] })),
    refused: seen.refused,
    reason: seen.reason,
  };
}

const toOwn = (socket, seen) =>
  void new HttpConnection(
    socket,
    {
      limits: LIMITS,
      headerTimeoutMs: 0,
      keepAliveMs: 0,
      sendTimeoutMs: 0,
      mostRequests: 0,
      address: null,
      budget,
      handle: seen.handle,
      refused: ({ reason }) => {
        seen.refused = true;
        seen.reason = reason;
      },
    },
    null,
    () => CLIENT,
  );
const toNode = (socket) => nodeServer.emit('connection', socket);

/** The smallest application: takes the body, and answers when it is whole. */
function answer(seen, request, sink) {
  const refusal = request.check(GATE);
  if (refusal !== null) {
    seen.refused = true;
    finish(sink, FORBIDDEN, true);
    return;
  }
  const entry = {
    environ: request.buildEnviron(CLIENT, CONTEXT),
    body: request.bodyLength === 0 ? '' : null,
  };
  seen.requests.push(entry);
  if (request.bodyLength === 0) {
    finish(sink, OK, false);
    return;
  }
  if (request.expectsContinue) sink.writeContinue();
  let body = '';
  const flow = request.feedBody({
    push: (chunk) => {
      body += chunk.toString('latin1');
    },
    end: () => {
      // One that breaks off may have come further or less far.
      entry.body = body;
      finish(sink, OK, false);
    },
    fail: () => {
      seen.refused = true;
      finish(sink, FORBIDDEN, true);
    },
  });
  flow.resume();
}

function finish(sink, head, closes) {
  if (sink.writeHead(head, null, closes)) sink.end('ok');
}

async function turns(count) {
  for (let left = count; left > 0; left -= 1) await new Promise(setImmediate);
}

/** The reason may depend on what had come by then. */
const show = ({ requests, refused }) => JSON.stringify({ requests, refused }, null, 1);

/** Fails for a difference that is not known. */
function compare(request, own, node, counts) {
  const { reason = '' } = own;
  const common = Math.min(own.requests.length, node.requests.length);
  const differs = own.requests
    .slice(0, common)
    .some((each, index) => !agree(each, node.requests[index], own, node));
  if (!differs && own.requests.length === node.requests.length && own.refused === node.refused) return;
  const isOwnMore = own.requests.length > node.requests.length || (node.refused && !own.refused);
  const served = isOwnMore ? 'own' : 'node';
  const known = KNOWN.find(
    (each) => ['either', served].includes(each.served) && each.pattern.test(each.isReason ? reason : request),
  );
  if (known === undefined || differs)
    throw new Error(`${JSON.stringify(request)}\nLido's own HTTP: ${show(own)}\nnode:http: ${show(node)}`);
  counts.known[known.name] = (counts.known[known.name] ?? 0) + 1;
}

/** A refusal may come before node:http has handed on the end of a body that was whole. */
function agree(one, other, own, node) {
  if (one.environ !== other.environ) return false;
  if (one.body === null) return other.body === null || own.refused;
  return other.body === null ? node.refused : one.body === other.body;
}

async function tryRequest(request, counts) {
  const [own, node] = [await send(toOwn, [request]), await send(toNode, [request])];
  counts.requests += 1;
  compare(request, own, node, counts);
  // Everywhere for what is short, at some places for what is long.
  const places = Array.from({ length: request.length - 1 }, (_, index) => index + 1);
  const chosen = places.length <= 300 ? places : places.filter(() => random.chance(300 / places.length));
  await Promise.all(
    chosen.map(async (place) => {
      const cut = await send(toOwn, [request.slice(0, place), request.slice(place)]);
      counts.cuts += 1;
      if (show(cut) !== show(own))
        throw new Error(
          `cut at ${place}: ${JSON.stringify(request)}\nwhole: ${show(own)}\ncut: ${show(cut)}`,
        );
    }),
  );
  const bytewise = await send(toOwn, [...request.slice(0, 2000)]);
  const whole = request.length <= 2000 ? own : await send(toOwn, [request.slice(0, 2000)]);
  if (show(bytewise) !== show(whole))
    throw new Error(
      `byte by byte: ${JSON.stringify(request)}\nwhole: ${show(whole)}\nbytes: ${show(bytewise)}`,
    );
}

console.log(`seed ${seed}`);
const counts = { requests: 0, cuts: 0, known: {} };
const end = performance.now() + Number(values.seconds) * 1000;
try {
  for (const request of bases) await tryRequest(request, counts);
  while (performance.now() < end) {
    const parts = Array.from({ length: 1 + random.below(3) }, () => random.pick(bases));
    await tryRequest(mutate(parts.join(''), random).slice(0, 6000), counts);
  }
} catch (error) {
  console.error(`seed ${seed}: ${error.message}`);
  process.exitCode = 1;
}
console.log(JSON.stringify(counts));
