// Both ends of the ring of blocks in one thread: what is written is what is read, around its end, and where it is full.
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import {
  allocateControl,
  MAX_BLOCK,
  RESPONSE_WINDOW,
  RING_SIZE,
  STRING_BLOCK_LIMIT,
} from '../../../dist/src/contract/protocol.js';
import { RingReader } from '../../../dist/src/dispatch/ring-reader.js';
import type { ResponseWriter } from '../../../dist/src/http/response-writer.js';
import { RingWriter } from '../../../dist/workers/ring-writer.js';

const channels: MessageChannel[] = [];
afterAll(() => {
  for (const { port1 } of channels) port1.close();
});

function makeRing() {
  const control = allocateControl(1);
  const channel = new MessageChannel();
  channels.push(channel);
  const reader = new RingReader(control);
  const writer = new RingWriter(reader.memory, control, channel.port1);
  return { reader, writer, port: channel.port2 };
}

/** A response that keeps what it is lent until it is told to give it back. */
class Taker {
  state = 'open';
  readonly blocks: Buffer[] = [];
  readonly lent: (() => void)[] = [];

  writeBlock(block: string | Uint8Array, giveBack?: () => void): void {
    this.blocks.push(typeof block === 'string' ? Buffer.from(block, 'latin1') : Buffer.from(block));
    if (giveBack !== undefined) this.lent.push(giveBack);
  }

  giveBack(): void {
    for (const giveBack of this.lent.splice(0)) giveBack();
  }

  get asWriter(): ResponseWriter {
    return this as unknown as ResponseWriter;
  }
}

const bytesOf = (length: number, seed: number) => Buffer.alloc(length, seed);

test('blocks come out as they went in, text and bytes, however often the ring wraps', () => {
  const { reader, writer } = makeRing();
  const taker = new Taker();
  const sent: Buffer[] = [];
  for (let count = 0; count < 100; count += 1) {
    const block = bytesOf(1 + ((count * 7919) % MAX_BLOCK), count);
    sent.push(block);
    expect(writer.put(1, count % 2 === 0 ? block : block.toString('latin1'))).toBe(true);
    reader.deliver(() => taker.asWriter);
    taker.giveBack();
  }
  expect(sent.reduce((sum, block) => sum + block.length, 0)).toBeGreaterThan(2 * RING_SIZE);
  expect(Buffer.concat(taker.blocks).equals(Buffer.concat(sent))).toBe(true);
});

test('a full ring takes nothing until the socket has given blocks back, in whatever order', () => {
  const { reader, writer } = makeRing();
  const [first, second] = [new Taker(), new Taker()];
  const block = bytesOf(MAX_BLOCK, 1);
  let count = 0;
  while (writer.put(1 + (count % 2), block)) count += 1;
  expect(count * MAX_BLOCK).toBeGreaterThan(RESPONSE_WINDOW);
  reader.deliver((id) => (id === 1 ? first : second).asWriter);
  expect(first.blocks.length + second.blocks.length).toBe(count);
  second.giveBack();
  // The first block is still lent, and what lies behind it can only be freed with it.
  expect(writer.put(1, block)).toBe(false);
  first.giveBack();
  expect(writer.put(1, block)).toBe(true);
});

test('a response that closes gives back what it never will', () => {
  const { reader, writer } = makeRing();
  const block = bytesOf(MAX_BLOCK, 1);
  while (writer.put(1, block));
  reader.deliver(() => new Taker().asWriter);
  expect(writer.put(2, block)).toBe(false);
  reader.releaseAll(1);
  expect(writer.put(2, block)).toBe(true);
});

test('blocks that nobody wants make room at once', () => {
  const { reader, writer } = makeRing();
  const block = bytesOf(MAX_BLOCK, 1);
  for (let count = 0; count < 100; count += 1) {
    expect(writer.put(1, block)).toBe(true);
    reader.deliver(() => null);
  }
});

test('a block waits in the ring until the head of its response has come', () => {
  const { reader, writer } = makeRing();
  const taker = new Taker();
  taker.state = 'unstarted';
  writer.put(1, 'early');
  reader.deliver(() => taker.asWriter);
  expect(taker.blocks).toEqual([]);
  taker.state = 'open';
  reader.deliver(() => taker.asWriter);
  expect(String(taker.blocks[0])).toBe('early');
});

test('many short blocks are joined, and none of another response with them', () => {
  const { reader, writer } = makeRing();
  const takers = [new Taker(), new Taker()];
  for (let count = 0; count < 1000; count += 1) writer.put(1, 'ten bytes.');
  writer.put(2, 'other');
  reader.deliver((id) => (takers[id - 1] as Taker).asWriter);
  const [first, second] = takers.map(({ blocks }) => blocks.map(({ length }) => length)) as [
    number[],
    number[],
  ];
  expect(first.reduce((sum, length) => sum + length, 0)).toBe(10_000);
  expect(first.length).toBeLessThan(10);
  expect(Math.max(...first)).toBeLessThanOrEqual(STRING_BLOCK_LIMIT);
  expect(second).toEqual([5]);
});

test('the main thread is told of blocks once, until it looks', () => {
  const { reader, writer, port } = makeRing();
  const told = () => receiveMessageOnPort(port)?.message as unknown;
  writer.put(1, 'one');
  writer.put(1, 'two');
  expect([told(), told()]).toEqual([['blocks'], undefined]);
  reader.listen();
  writer.put(1, 'three');
  expect(told()).toEqual(['blocks']);
});
