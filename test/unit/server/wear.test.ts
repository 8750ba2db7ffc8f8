import { expect, it } from 'vitest';
import { findWear, jitterRequests } from '../../../dist/src/server/wear.js';

const none = { maxRequests: 0, maxMemory: 0, maxAge: 0 };
const wear = { requests: 1000, memory: 5_000_000, age: 60 };

it('is found at each limit, and nowhere without one', () => {
  expect(findWear(none, wear)).toBe(null);
  expect(findWear({ ...none, maxRequests: 1001 }, wear)).toBe(null);
  expect(findWear({ ...none, maxRequests: 1000 }, wear)).toBe('has answered 1000 requests');
  expect(findWear({ ...none, maxMemory: 5_000_000 }, wear)).toBe(null);
  expect(findWear({ ...none, maxMemory: 4_999_999 }, wear)).toBe('takes 5000000 bytes of memory');
  expect(findWear({ ...none, maxAge: 61 }, wear)).toBe(null);
  expect(findWear({ ...none, maxAge: 60 }, wear)).toBe('has served for 60 s');
});

it('adds up to the jitter, by chance, where there is a limit', () => {
  expect(jitterRequests({ maxRequests: 100, maxRequestsJitter: 20 }, 0)).toBe(100);
  expect(jitterRequests({ maxRequests: 100, maxRequestsJitter: 20 }, 0.5)).toBe(110);
  expect(jitterRequests({ maxRequests: 0, maxRequestsJitter: 20 }, 1)).toBe(0);
});
