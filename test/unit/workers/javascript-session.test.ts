// Requests from the main thread's end of a ring to a JavaScript worker's session, both in this thread.
import { AsyncLocalStorage } from 'node:async_hooks';
import { closeSync, openSync } from 'node:fs';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { allocateControl, type WorkerSettings } from '../../../dist/src/contract/protocol.js';
import { REQUESTS_SIZE } from '../../../dist/src/contract/ring.js';
import type { Exchange } from '../../../dist/src/dispatch/exchange.js';
import { RequestChannel } from '../../../dist/src/dispatch/request-channel.js';
import type { RequestContent } from '../../../dist/src/dispatch/request-content.js';
import { Slots } from '../../../dist/src/dispatch/slots.js';
import { JavaScriptSession } from '../../../dist/workers/javascript/session.js';
import type { WorkerRequest } from '../../../dist/workers/runtime.js';

const SLOTS = 64;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function open(handle: (request: WorkerRequest) => void | Promise<void>, concurrency = 1) {
  const [requests, bodies] = [new MessageChannel(), new MessageChannel()];
  const control = allocateControl(SLOTS);
  const slots = new Slots(SLOTS, control);
  const channel = new RequestChannel(requests.port1, control, null);
  closers.push(() => {
    channel.stop();
    requests.port1.close();
    bodies.port1.close();
  });
  const session = new JavaScriptSession(
    {
      requests: requests.port2,
      bodies: bodies.port2,
      control,
      rings: { requests: channel.memory, bodies: null, answers: null },
      settings: { concurrency } as WorkerSettings,
      worker: 1,
    },
    handle,
  );
  const send = (environ: string, body: RequestContent = '') => {
    const slot = slots.take({} as Exchange);
    channel.send(slot.id, environ, body);
    return slot;
  };
  return { session, channel, slots, send };
}

/** A handler that keeps what it is given, and a promise for the time when that is enough. */
function keep(most: number) {
  const seen: string[] = [];
  let resolve = () => {};
  const whole = new Promise<void>((settle) => {
    resolve = settle;
  });
  const handle = ({ environ, body }: WorkerRequest) => {
    seen.push(body.inline === '' ? environ : `${environ}:${body.inline}`);
    if (seen.length === most) resolve();
  };
  return { seen, whole, handle };
}

test('requests come in their order, with their bodies, before and after the worker has slept', async () => {
  const { seen, whole, handle } = keep(4);
  const { session, send } = open(handle);
  send('first', 'body');
  void session.serve();
  send('second', null);
  send('third\xff');
  while (seen.length < 3) await new Promise(setImmediate);
  await new Promise(setImmediate);
  send('fourth');
  await whole;
  expect(seen).toEqual(['first:body', 'second:null', 'third\xff', 'fourth']);
});

test('the ring goes round and round, and loses nothing at its end', async () => {
  const most = 40;
  const { seen, whole, handle } = keep(most);
  const { session, slots, send } = open(handle);
  void session.serve();
  const environs = Array.from({ length: most }, (_, index) =>
    String(index).padEnd(REQUESTS_SIZE / 5 + index),
  );
  for (const environ of environs) {
    const slot = send(environ);
    while (seen.at(-1) !== environ) await new Promise(setImmediate);
    slots.release(slot);
  }
  await whole;
  expect(seen).toEqual(environs);
});

test('what the ring has no room for comes by the port, in its place', async () => {
  const long = 'x'.repeat(REQUESTS_SIZE);
  const { seen, whole, handle } = keep(4);
  const { session, send } = open(handle);
  for (const environ of ['first', long, 'third']) send(environ);
  // Taken back: the worker passes over it, wherever it lies.
  expect(send(`${long}!`).recall()).toBe(true);
  expect(send('recalled').recall()).toBe(true);
  send('last');
  void session.serve();
  await whole;
  expect(seen).toEqual(['first', long, 'third', 'last']);
});

test('what is sent behind thousands that were recalled, which the worker has not passed over, comes in its order', async () => {
  const { seen, whole, handle } = keep(2);
  const { session, slots, send } = open(handle);
  for (let count = 0; count < 6000; count += 1) {
    const slot = send('x'.repeat(1000));
    expect(slot.recall()).toBe(true);
    slots.release(slot);
  }
  const [first, second] = [send('first'), send('second')];
  void session.serve();
  await whole;
  expect(seen).toEqual(['first', 'second']);
  expect([first.recall(), second.recall()]).toEqual([false, false]);
});

test('what a request leaves in an AsyncLocalStorage is not there for the next', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const { session, channel, send } = open(({ environ }) => {
    seen.push(storage.getStore());
    storage.enterWith(environ);
  });
  for (const environ of ['first', 'second', 'third']) send(environ);
  channel.close(10_000);
  await session.serve();
  expect(seen).toEqual([undefined, undefined, undefined]);
});

function compute(ms: number) {
  const began = performance.now();
  while (performance.now() - began < ms);
}

test.each([
  ['', () => compute(2), 1, 10],
  [' for an asynchronous application', async () => compute(2), 1, 10],
  [' for an asynchronous application, several at once', async () => compute(0.3), 3, 40],
])('requests that wait%s leave the event loop its turns', async (_, handle, concurrency, most) => {
  let turns = 0;
  const { session, channel, send } = open(handle, concurrency);
  for (let count = 0; count < most; count += 1) send('');
  const count = () => {
    turns += 1;
    setImmediate(count).unref();
  };
  count();
  channel.close(10_000);
  await session.serve();
  expect(turns).toBeGreaterThanOrEqual(10);
});

test('as many run at once as may, and the session ends behind the last', async () => {
  let running = 0;
  let most = 0;
  const { session, channel, send } = open(async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise(setImmediate);
    running -= 1;
  }, 3);
  for (let count = 0; count < 10; count += 1) send('');
  channel.close(10_000);
  await session.serve();
  expect([most, running]).toEqual([3, 0]);
});

test('a file of which the main thread has taken its hand is not read: its number may be another one by then', async () => {
  const fd = openSync(import.meta.filename, 'r');
  closers.push(() => closeSync(fd));
  let failure: unknown = null;
  let resolve = () => {};
  const whole = new Promise<void>((settle) => {
    resolve = settle;
  });
  const { session, send } = open(({ body }) => {
    try {
      body.nextChunk();
    } catch (error) {
      failure = error;
    }
    resolve();
  });
  send('one', { fd, length: 1 }).stop();
  void session.serve();
  await whole;
  expect(failure).toMatchObject({ code: 'LIDO_CLIENT_GONE' });
});
