// Requests that a Python worker is posted: those that the main thread recalls are not kept.
import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { expect, it, onTestFinished } from 'vitest';
import { allocateControl, OFFER, SLOT_BITS, slotOf, slotWord } from '../../../dist/src/contract/protocol.js';
import { PostedRequests } from '../../../dist/workers/python/posted-requests.js';

it('drops what was recalled, and keeps what is on offer until it is asked for', () => {
  const { port1: main, port2: worker } = new MessageChannel();
  onTestFinished(async () => {
    main.close();
    await once(main, 'close');
  });
  const control = allocateControl(4);
  const offer = (id: number, word: number) => Atomics.store(control, slotWord(slotOf(id), OFFER), word);
  const ids = [0, 1, 2, 3].map((slot) => (1 << SLOT_BITS) + slot);
  const [claimed, waiting, inDoubt, recalled] = ids as [number, number, number, number];
  const posted = new PostedRequests(worker, control);
  for (const id of ids) {
    offer(id, id);
    main.postMessage(['request', id, `environ of ${id}`, null]);
  }
  posted.receive();
  expect(posted.size).toBe(4);
  offer(recalled, 0);
  offer(inDoubt, -inDoubt);
  expect(posted.take(claimed)).toEqual(['request', claimed, `environ of ${claimed}`, null]);
  expect(posted.size).toBe(2);
  // The slot has the next request by now.
  offer(waiting, waiting + (1 << SLOT_BITS));
  offer(inDoubt, inDoubt);
  posted.receive();
  expect(posted.take(inDoubt)[1]).toBe(inDoubt);
  expect(posted.size).toBe(0);
});
