// A session and the ring in which its worker, here the test itself, leaves answers.
import { afterEach, expect, test } from 'vitest';
import { toPayload } from '../../../dist/src/contract/errors.js';
import {
  ANSWERS_FREED,
  ANSWERS_WRITTEN,
  claim,
  GONE,
  slotOf,
  slotWord,
  type WorkerSettings,
} from '../../../dist/src/contract/protocol.js';
import { MESSAGE, RingWriter } from '../../../dist/src/contract/ring.js';
import { Dispatcher } from '../../../dist/src/dispatch/dispatcher.js';
import type { Exchange } from '../../../dist/src/dispatch/exchange.js';
import { Session } from '../../../dist/src/dispatch/session.js';
import type { LidoError } from '../../../dist/src/index.js';

const settings = { application: { runtime: 'cpython' }, concurrency: 1 } as unknown as WorkerSettings;
const POLICY = {
  concurrency: 1,
  prefetch: 1,
  isAlone: true,
  sharedGil: false,
  cores: 1,
  slowMs: 5,
  worthWakingMs: 0.25,
};
const opened: Session[] = [];
afterEach(() => {
  for (const session of opened.splice(0)) session.lose(new Error('the test is over') as LidoError);
});

function openSession() {
  let released = () => {};
  const whenReleased = new Promise<void>((resolve) => {
    released = resolve;
  });
  const session = new Session(settings, 16, { measured: () => {}, released, log: () => {} }, 1, null);
  opened.push(session);
  const { control, rings } = session.start;
  if (rings.answers === null) throw new Error('a Python worker has a ring of answers');
  const writer = new RingWriter(rings.answers, control, { written: ANSWERS_WRITTEN, freed: ANSWERS_FREED });
  const answer = (id: number) =>
    writer.put(MESSAGE, id, '', JSON.stringify(['fail', id, toPayload(new Error('it failed'))]));
  return { session, answer, whenReleased };
}

/** As much of an exchange as a session asks for. */
function makeExchange() {
  const exchange = {
    id: 0,
    environ: 'REQUEST_METHOD\0\0GET',
    body: { asText: () => '', leaveLent: () => {}, takeBack: () => {} },
    send: (_: Session, id: number) => {
      exchange.id = id;
    },
    recall: () => {},
    detach: () => {},
    finish: () => {},
  };
  return exchange as unknown as Exchange & { id: number };
}

test('an answer of which the worker has not told is taken all the same, while the worker is about the next request', async () => {
  const { session, answer, whenReleased } = openSession();
  const dispatcher = new Dispatcher({ policy: POLICY, backlog: 2, backlogTimeoutMs: 0 });
  dispatcher.addSession(session);
  const [first, second] = [makeExchange(), makeExchange()];
  dispatcher.dispatch(first);
  dispatcher.dispatch(second);
  // What this turn looks at on its own is over.
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  answer(first.id);
  await whenReleased;
  expect(session.exchanges).toEqual([second]);
});

test('what the worker has answered by the time that a request is sent to it is taken in the same turn', async () => {
  const { session, answer } = openSession();
  const exchange = makeExchange();
  session.send(exchange);
  answer(exchange.id);
  await new Promise(setImmediate);
  expect(session.exchanges).toEqual([]);
});

test('in a turn that brings many requests, the first answers are taken in the midst of it', async () => {
  const { session, answer } = openSession();
  const [first, ...others] = Array.from({ length: 16 }, makeExchange) as [ReturnType<typeof makeExchange>];
  session.send(first);
  answer(first.id);
  for (const other of others) session.send(other);
  await new Promise(process.nextTick);
  expect(session.exchanges).toEqual(others);
});

test('what the worker has left untold is taken once the session gets no more work, though it is about a slow request', async () => {
  const { session, answer, whenReleased } = openSession();
  const dispatcher = new Dispatcher({
    policy: { ...POLICY, prefetch: 2 },
    backlog: 3,
    backlogTimeoutMs: 0,
  });
  dispatcher.addSession(session);
  const [first, second, third] = [makeExchange(), makeExchange(), makeExchange()];
  for (const exchange of [first, second, third]) dispatcher.dispatch(exchange);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  for (const { id } of [first, second]) claim(session.start.control, id);
  answer(first.id);
  dispatcher.retireSession(session);
  expect(session.exchanges).toEqual([first, second]);
  await whenReleased;
  expect(session.exchanges).toEqual([second]);
});

test('what the worker has left untold is taken once nothing is queued there any more', async () => {
  const { session, answer } = openSession();
  const [first, second] = [makeExchange(), makeExchange()];
  session.send(first);
  session.send(second);
  await new Promise(setImmediate);
  claim(session.start.control, first.id);
  answer(first.id);
  session.giveUp(second);
  await new Promise(setImmediate);
  expect(session.exchanges).toEqual([]);
});

test('nobody looks at the answers of a worker that is lost', async () => {
  const { session, answer } = openSession();
  const exchange = makeExchange();
  session.send(exchange);
  session.lose(new Error('it died') as LidoError);
  answer(exchange.id);
  await new Promise(setImmediate);
  expect(session.start.control[ANSWERS_FREED]).toBe(0);
});

test('a worker that is lost is told that its requests are over before what they were lent is closed', () => {
  const { session } = openSession();
  const exchange = makeExchange();
  session.send(exchange);
  const { control } = session.start;
  claim(control, exchange.id);
  const { id } = exchange;
  let gone = 0;
  exchange.finish = () => {
    gone = control[slotWord(slotOf(id), GONE)] as number;
  };
  session.lose(new Error('it died') as LidoError);
  expect(gone).toBe(id);
});
