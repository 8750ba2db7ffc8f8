// Both ends of the ring of answers in one thread: what is written is what is read, around its end, and where it is full.
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import {
  allocateControl,
  type FromWorker,
  IS_HELD_UP,
  MAX_BLOCK,
  RESPONSE_WINDOW,
  STRING_BLOCK_LIMIT,
} from '../../../dist/src/contract/protocol.js';
import {
  ANSWERS_SIZE,
  BLOCK,
  END,
  HEAD,
  MESSAGE,
  RECORD_HEADER,
  RESPONSE,
  ROOM,
  recordSize,
  WHOLE,
} from '../../../dist/src/contract/ring.js';
import { RingReader } from '../../../dist/src/dispatch/ring-reader.js';
import { Answers } from '../../../dist/workers/answers.js';

const channels: MessageChannel[] = [];
afterAll(() => {
  for (const { port1 } of channels) port1.close();
});

function makeRing() {
  const control = allocateControl(1);
  const channel = new MessageChannel();
  channels.push(channel);
  const reader = new RingReader(control);
  const answers = new Answers(channel.port1, control, reader.memory);
  return {
    reader,
    answers,
    port: channel.port2,
    putBlock: (id: number, block: string | Uint8Array) => answers.put(BLOCK, id, '', block),
  };
}

/** Keeps what it takes, and what it is lent until it is told to give it back. */
class Taker {
  readonly messages: FromWorker[] = [];
  readonly lent: (() => void)[] = [];

  readonly take = (message: FromWorker, giveBack?: () => void): void => {
    const [kind, id, block] = message as readonly [string, number, unknown];
    // What is lent is read before it is given back.
    const kept = block instanceof Uint8Array ? Buffer.from(block).toString('latin1') : block;
    this.messages.push(block === undefined ? message : ([kind, id, kept] as unknown as FromWorker));
    if (giveBack !== undefined) this.lent.push(giveBack);
  };

  get text(): string {
    return this.messages.map((message) => message[2] as unknown as string).join('');
  }

  giveBack(): void {
    for (const giveBack of this.lent.splice(0)) giveBack();
  }
}

const bytesOf = (length: number, seed: number) => Buffer.alloc(length, seed);

test('each kind of record comes out as the message that it stands for', () => {
  const { reader, answers } = makeRing();
  const taken: FromWorker[] = [];
  answers.put(RESPONSE, 1, '200 OK', 'caf\u00e9\0');
  answers.put(HEAD, 2, Buffer.from('201 Created'), Buffer.from('one'));
  answers.put(BLOCK, 2, '', 'two');
  answers.put(WHOLE, 2, '', '');
  answers.put(END, 2, '', '');
  answers.put(MESSAGE, 3, '', Buffer.from(JSON.stringify(['log', 3, 'error', '\u20ac'])));
  reader.deliver((message) => taken.push(message));
  expect(taken).toEqual([
    ['response', 1, '200 OK', 'caf\u00e9\0'],
    ['head', 2, '201 Created', 'one'],
    ['block', 2, 'two'],
    ['whole', 2],
    ['end', 2],
    ['log', 3, 'error', '\u20ac'],
  ]);
});

test('blocks come out as they went in, text and bytes, however often the ring wraps', () => {
  const { reader, putBlock } = makeRing();
  const taker = new Taker();
  let sent = '';
  for (let count = 0; count < 100; count += 1) {
    const block = bytesOf(1 + ((count * 7919) % MAX_BLOCK), count);
    const text = block.toString('latin1');
    sent += text;
    expect(putBlock(1, count % 2 === 0 ? block : text)).toBe(true);
    reader.deliver(taker.take);
    taker.giveBack();
  }
  expect(sent.length).toBeGreaterThan(2 * ANSWERS_SIZE);
  expect(taker.text === sent).toBe(true);
});

test('a ring that is full to the last byte is read whole', () => {
  const { reader, putBlock } = makeRing();
  const block = bytesOf(MAX_BLOCK - RECORD_HEADER, 1);
  const fits = ANSWERS_SIZE / recordSize(block.length);
  for (let round = 0; round < 3; round += 1) {
    for (let count = 0; count < fits; count += 1) expect(putBlock(1, block)).toBe(true);
    expect(putBlock(1, '')).toBe(false);
    const taker = new Taker();
    reader.deliver(taker.take);
    taker.giveBack();
    expect(taker.messages.length).toBe(fits);
  }
});

test('a full ring takes nothing until the socket has given blocks back, in whatever order', () => {
  const { reader, putBlock } = makeRing();
  const [first, second] = [new Taker(), new Taker()];
  const block = bytesOf(MAX_BLOCK, 1);
  let count = 0;
  while (putBlock(1 + (count % 2), block)) count += 1;
  expect(count * MAX_BLOCK).toBeGreaterThan(RESPONSE_WINDOW);
  reader.deliver((message, giveBack) => (message[1] === 1 ? first : second).take(message, giveBack));
  expect(first.lent.length + second.lent.length).toBe(count);
  second.giveBack();
  // The first block is still lent, and what lies behind it can only be freed with it.
  expect(putBlock(1, block)).toBe(false);
  first.giveBack();
  expect(putBlock(1, block)).toBe(true);
});

test('a response that closes gives back what it never will', () => {
  const { reader, putBlock } = makeRing();
  const block = bytesOf(MAX_BLOCK, 1);
  while (putBlock(1, block));
  reader.deliver(new Taker().take);
  expect(putBlock(2, block)).toBe(false);
  reader.releaseAll(1);
  expect(putBlock(2, block)).toBe(true);
});

test('many short blocks are joined, and none of another response with them', () => {
  const { reader, answers, putBlock } = makeRing();
  const taker = new Taker();
  for (let count = 0; count < 1000; count += 1) putBlock(1, 'ten bytes.');
  putBlock(2, 'other');
  answers.put(END, 1, '', '');
  reader.deliver(taker.take);
  const blocks = taker.messages.filter((message) => message[1] === 1 && message[0] === 'block');
  const lengths = blocks.map((message) => (message[2] as unknown as string).length);
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(10_000);
  expect(lengths.length).toBeLessThan(10);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(STRING_BLOCK_LIMIT);
  expect(taker.messages.slice(-2)).toEqual([
    ['block', 2, 'other'],
    ['end', 1],
  ]);
});

test('what is written while the main thread reads waits for its next look, of which it is told', () => {
  const { reader, putBlock, port } = makeRing();
  const taker = new Taker();
  putBlock(1, 'one');
  reader.deliver((message) => {
    if (taker.messages.length === 0) putBlock(1, 'two');
    taker.take(message);
  });
  expect(taker.text).toBe('one');
  expect(receiveMessageOnPort(port)?.message).toEqual(['answers']);
  reader.hear();
  reader.deliver(taker.take);
  expect(taker.text).toBe('onetwo');
});

test('the main thread is told once, until it hears that', () => {
  const { reader, putBlock, port } = makeRing();
  const told = () => receiveMessageOnPort(port)?.message as unknown;
  putBlock(1, 'one');
  putBlock(1, 'two');
  expect([told(), told()]).toEqual([['answers'], undefined]);
  reader.hear();
  putBlock(1, 'three');
  expect(told()).toEqual(['answers']);
});

test('a worker that runs a loop is told of room once it waits for that, and no more', () => {
  const told: unknown[][] = [];
  const control = allocateControl(1);
  const reader = new RingReader(control, { put: (...record) => told.push(record) });
  reader.deliver(() => {});
  expect(told).toEqual([]);
  control[IS_HELD_UP] = 1;
  reader.deliver(() => {});
  reader.deliver(() => {});
  expect(told).toEqual([[ROOM, 0]]);
});
