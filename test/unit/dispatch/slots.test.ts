import { expect, test } from 'vitest';
import {
  allocateControl,
  CLAIMED,
  claim,
  GONE,
  OFFER,
  slotWord,
} from '../../../dist/src/contract/protocol.js';
import type { Exchange } from '../../../dist/src/dispatch/exchange.js';
import { Slots } from '../../../dist/src/dispatch/slots.js';

const exchange = {} as Exchange;

function makeSlots(size: number) {
  const control = allocateControl(size);
  return { control, slots: new Slots(size, control) };
}

test('a request is found by its id, and not once its slot is free', () => {
  const { slots } = makeSlots(2);
  const slot = slots.take(exchange);
  expect(slots.find(slot.id)).toBe(slot);
  expect(slots.taken).toBe(1);
  const { id } = slot;
  slots.release(slot);
  expect(slots.find(id)).toBeNull();
  expect(slots.find(0)).toBeNull();
  expect(slots.taken).toBe(0);
});

test('the next request of a slot has another id, which a late message about the last one does not find', () => {
  const { slots } = makeSlots(1);
  const first = slots.take(exchange);
  const { id } = first;
  slots.release(first);
  const second = slots.take(exchange);
  expect(second.index).toBe(first.index);
  expect(second.id).not.toBe(id);
  expect(slots.find(id)).toBeNull();
});

test('ids differ between sessions, too', () => {
  const ids = [makeSlots(1), makeSlots(1)].map(({ slots }) => slots.take(exchange).id);
  expect(new Set(ids).size).toBe(2);
});

test('who claims first has the request: the worker, or the main thread that recalls it', () => {
  const { control, slots } = makeSlots(2);
  const claimed = slots.take(exchange);
  const recalled = slots.take(exchange);
  expect(claim(control, claimed.id)).toBe(true);
  expect(claimed.recall()).toBe(false);
  expect(claimed.isClaimed).toBe(true);
  expect(recalled.recall()).toBe(true);
  expect(claim(control, recalled.id)).toBe(false);
});

test('a worker that is late cannot claim the next request of a slot by the id of the last', () => {
  const { control, slots } = makeSlots(1);
  const first = slots.take(exchange);
  const { id } = first;
  first.recall();
  slots.release(first);
  slots.take(exchange);
  expect(claim(control, id)).toBe(false);
});

test('the oldest request comes first, whatever its slot', () => {
  const { slots } = makeSlots(3);
  const [first, second, third] = [slots.take(exchange), slots.take(exchange), slots.take(exchange)];
  slots.release(first);
  const fourth = slots.take(exchange);
  expect(fourth.index).toBe(first.index);
  expect(slots.byAge()).toEqual([second, third, fourth]);
});

test('a request that is told to stop is named by its id', () => {
  const { control, slots } = makeSlots(1);
  const slot = slots.take(exchange);
  slot.stop();
  expect(control[slotWord(slot.index, GONE)]).toBe(slot.id);
});

test('more slots than ids can name are refused', () => {
  expect(() => makeSlots(1025)).toThrow('a session has at most 1024 slots, not 1025');
});

test('a worker that passes over what was recalled claims the next in its order', () => {
  const { control, slots } = makeSlots(3);
  const [first, second, third] = [slots.take(exchange), slots.take(exchange), slots.take(exchange)];
  expect(second.recall()).toBe(true);
  expect([first, second, third].map(({ id }) => claim(control, id))).toEqual([true, false, true]);
  expect([first.recall(), third.recall()]).toEqual([false, false]);
});

test('a request that the main thread tried in vain to take back is still that of the worker', () => {
  const { control, slots } = makeSlots(1);
  const slot = slots.take(exchange);
  // The worker has counted, and has yet to look.
  Atomics.add(control, CLAIMED, 1);
  expect(slot.recall()).toBe(false);
  expect(control[slotWord(slot.index, OFFER)]).toBe(slot.id);
});
