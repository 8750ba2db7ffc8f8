// How often a worker that sleeps in its event loop is woken. It is this test, which says so by its word.
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { allocateControl, SERVICE_TIME, SLEEPING } from '../../../dist/src/contract/protocol.js';
import { RequestChannel } from '../../../dist/src/dispatch/request-channel.js';

const ports: MessageChannel[] = [];
afterEach(() => {
  for (const { port1 } of ports.splice(0)) port1.close();
});

function open(serviceNs: number) {
  const channel = new MessageChannel();
  ports.push(channel);
  const control = allocateControl(1);
  control[SERVICE_TIME] = serviceNs;
  const requests = new RequestChannel(channel.port1, control, null);
  return {
    send: () => requests.send(1, 'environ', ''),
    sleep: () => Atomics.store(control, SLEEPING, 1),
    countWakeUps: () => {
      let count = 0;
      while (receiveMessageOnPort(channel.port2) !== undefined) count += 1;
      return count;
    },
  };
}

test('a worker that does not sleep is not woken', () => {
  const { send, countWakeUps } = open(1000);
  send();
  expect(countWakeUps()).toBe(0);
});

test('for short requests it is woken by the first of a turn, and at the end of the turn', async () => {
  const { send, sleep, countWakeUps } = open(1000);
  sleep();
  send();
  expect(countWakeUps()).toBe(1);
  sleep();
  for (let count = 0; count < 10; count += 1) send();
  expect(countWakeUps()).toBe(0);
  await new Promise(setImmediate);
  expect(countWakeUps()).toBe(1);
});

test('in the midst of a turn it is woken once that is worth it', () => {
  const { send, sleep, countWakeUps } = open(20_000);
  for (let count = 0; count < 5; count += 1) {
    sleep();
    send();
  }
  expect(countWakeUps()).toBe(1);
  send();
  expect(countWakeUps()).toBe(1);
});

test('for long requests it is woken each time', () => {
  const { send, sleep, countWakeUps } = open(1_000_000);
  for (let count = 0; count < 3; count += 1) {
    sleep();
    send();
  }
  expect(countWakeUps()).toBe(3);
});
