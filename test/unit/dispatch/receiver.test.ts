// The order in which a worker may say what becomes of a request.
import { MessageChannel } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import { toPayload } from '../../../dist/src/contract/errors.js';
import { allocateControl, GONE, slotWord } from '../../../dist/src/contract/protocol.js';
import { BodyChannel } from '../../../dist/src/dispatch/body-channel.js';
import { Exchange } from '../../../dist/src/dispatch/exchange.js';
import { type AnswerMessage, Receiver } from '../../../dist/src/dispatch/receiver.js';
import { Slots } from '../../../dist/src/dispatch/slots.js';

const { port1 } = new MessageChannel();
afterAll(() => port1.close());

/** A receiver with one exchange, whose writer notes what it is told. */
function receive(...kinds: string[]) {
  const control = allocateControl(1);
  const slots = new Slots(1, control);
  const logged: string[] = [];
  const written: string[] = [];
  let released = 0;
  const note = (name: string) => () => {
    written.push(name);
    return null;
  };
  const writer = {
    state: 'unstarted',
    listen: () => {},
    onceClosed: () => {},
    bufferBlocks: () => {},
    writeWhole: note('whole response'),
    writeHead: note('head'),
    writeBlock: note('block'),
    end: note('end'),
    abort: note('abort'),
    writeError: note('error page'),
  };
  const exchange = new Exchange({
    requestId: 'a-1',
    naming: { idOf: () => 'a-1', trustsTrace: () => false },
    log: { error: (_: object, text: string) => logged.push(text) } as never,
    request: { method: 'GET', target: '/', prefersHtml: false } as never,
    url: null,
    client: {} as never,
    writer: writer as never,
    debug: false,
    refusals: { tell: () => {} } as never,
    observer: null,
    substitute: null,
    webSockets: null,
  });
  exchange.body = { isWhole: true, close: () => {}, takeBack: () => {}, addCredit: note('credit') } as never;
  const receiver = new Receiver(slots, new BodyChannel(port1, null, control), null, null, {
    finished: (slot) => {
      released += 1;
      slots.release(slot);
    },
    log: (_, __, text) => logged.push(text),
  });
  const slot = slots.take(exchange);
  const { id } = slot;
  exchange.send({ giveUp: () => {}, busySince: 0, runsOne: true }, id);
  for (const kind of kinds) receiver.receive(messageOf(kind, id));
  return { logged, written, released, isStopped: control[slotWord(0, GONE)] === id, exchange, receiver, id };
}

function messageOf(kind: string, id: number): AnswerMessage {
  const rest: Record<string, unknown[]> = {
    response: ['200 OK', 'hello'],
    head: ['200 OK', ''],
    block: ['hello'],
    credit: [1],
    fail: [toPayload(new Error('it failed'))],
  };
  return [kind, id, ...(rest[kind] ?? [])] as unknown as AnswerMessage;
}

test('a whole response', () => {
  const { written, logged, released } = receive('response');
  expect(written).toEqual(['whole response']);
  expect({ logged, released }).toEqual({ logged: [], released: 1 });
});

test('a head, blocks, the end of the body, the end', () => {
  const { written, logged, released } = receive('head', 'block', 'credit', 'block', 'whole', 'end');
  expect(written).toEqual(['head', 'block', 'credit', 'block', 'end', 'end']);
  expect({ logged, released }).toEqual({ logged: [], released: 1 });
});

const OUT_OF_ORDER: [string[], string][] = [
  [
    ['head', 'head'],
    "'head' where the main thread expected one of read, credit, hint, trailers, block, whole, end, fail",
  ],
  [['block'], "'block' where the main thread expected one of read, credit, hint, response, head, file, fail"],
  [
    ['head', 'response'],
    "'response' where the main thread expected one of read, credit, hint, trailers, block, whole, end, fail",
  ],
  [['head', 'whole', 'block'], "'block' where the main thread expected one of read, credit, hint, end, fail"],
  [['end'], "'end' where the main thread expected one of read, credit, hint, response, head, file, fail"],
  [
    ['nonsense'],
    "'nonsense' where the main thread expected one of read, credit, hint, response, head, file, fail",
  ],
];

test.each(OUT_OF_ORDER)('%j ends the exchange with an internal error', (kinds, text) => {
  const { written, logged, exchange, isStopped } = receive(...kinds);
  expect(logged).toEqual([`the worker said ${text}`]);
  expect(written.at(-1)).toBe('error page');
  expect(exchange.isSent).toBe(false);
  expect(isStopped).toBe(true);
});

test('behind a message out of order only the end counts, which frees the slot', () => {
  const { written, logged, released } = receive('block', 'head', 'block', 'end');
  expect(written).toEqual(['error page']);
  expect(logged.length).toBe(1);
  expect(released).toBe(1);
});

test.each(['response', 'block', 'end', 'fail'])("'%s' behind the end is logged, and nothing else", (kind) => {
  const { written, logged, released } = receive('response', kind);
  expect(written).toEqual(['whole response']);
  expect(logged).toEqual([
    `LIDO_MESSAGE_OUT_OF_ORDER: the worker said '${kind}' where the main thread expected nothing: its request is over`,
  ]);
  expect(released).toBe(1);
});

test('a client that goes away before the head leaves nothing to say but the end', () => {
  const { exchange, receiver, id, logged } = receive();
  exchange.detach();
  receiver.receive(['end', id]);
  expect(logged).toEqual([]);
});
