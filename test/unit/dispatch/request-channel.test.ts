// How often a worker that sleeps is woken. It is this test, which says so by its word.
import { fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import {
  AT_BELL,
  allocateControl,
  IN_LOOP,
  SERVICE_TIME,
  SLEEPING,
} from '../../../dist/src/contract/protocol.js';
import { Alarm } from '../../../dist/src/dispatch/alarm.js';
import { RequestChannel } from '../../../dist/src/dispatch/request-channel.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** One that sleeps in Node's event loop counts messages, one that sleeps in Python the bytes that are written to its bell. */
function open(isPython: boolean, serviceNs: number) {
  const channel = new MessageChannel();
  const folder = mkdtempSync(join(tmpdir(), 'lido-bell-'));
  const bell = openSync(join(folder, 'bell'), 'w');
  const control = allocateControl(1);
  control[SERVICE_TIME] = serviceNs;
  const alarm = new Alarm(control);
  alarm.open(bell);
  closers.push(() => {
    channel.port1.close();
    alarm.close();
    rmSync(folder, { recursive: true });
  });
  const requests = new RequestChannel(channel.port1, control, isPython ? alarm : null);
  let counted = 0;
  return {
    send: () => requests.send(1, 'environ', ''),
    sleep: () => Atomics.store(control, SLEEPING, isPython ? AT_BELL : IN_LOOP),
    countWakeUps: () => {
      const before = counted;
      counted = isPython ? fstatSync(bell).size : counted;
      while (receiveMessageOnPort(channel.port2) !== undefined) counted += 1;
      return counted - before;
    },
  };
}

describe.each([
  ['JavaScript', false],
  ['Python', true],
])('a worker in %s', (_, isPython) => {
  test('that does not sleep is not woken', () => {
    const { send, countWakeUps } = open(isPython, 1000);
    send();
    expect(countWakeUps()).toBe(0);
  });

  test('is woken for short requests by the first of a turn, and at the end of the turn', async () => {
    const { send, sleep, countWakeUps } = open(isPython, 1000);
    sleep();
    send();
    expect(countWakeUps()).toBe(1);
    sleep();
    for (let count = 0; count < 10; count += 1) send();
    expect(countWakeUps()).toBe(0);
    await new Promise(setImmediate);
    expect(countWakeUps()).toBe(1);
  });

  test('is woken in the midst of a turn once that is worth it', () => {
    const { send, sleep, countWakeUps } = open(isPython, 20_000);
    for (let count = 0; count < 5; count += 1) {
      sleep();
      send();
    }
    expect(countWakeUps()).toBe(1);
    send();
    expect(countWakeUps()).toBe(1);
  });

  test('is woken each time for long requests', () => {
    const { send, sleep, countWakeUps } = open(isPython, 1_000_000);
    for (let count = 0; count < 3; count += 1) {
      sleep();
      send();
    }
    expect(countWakeUps()).toBe(3);
  });
});
