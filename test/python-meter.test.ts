// What the meter makes of a request's time, from figures that were recorded on busy and on quiet threads. Milliseconds.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { root, venv } from './support/server.js';

/** In Python: how long a request waited for something else than the GIL. */
function findWaiting(idle: number, sleeps: number, gilWait: number, gilSleeps: number): number {
  const code = [
    'import runpy, sys',
    `meter = runpy.run_path('${root}workers/python/meter.py')`,
    "print(meter['find_waiting'](*map(float, sys.argv[1:])))",
  ].join('\n');
  const numbers = [idle, sleeps, gilWait, gilSleeps].map(String);
  return Number(execFileSync(`${venv}/bin/python`, ['-c', code, ...numbers], { encoding: 'utf8' }));
}

it.each([
  ['never slept, and was only kept from running', [3, 0, 0, 0], 0, 0],
  ['waited 5 ms, and had the GIL at once', [5.1, 1, 0, 0], 5, 5.2],
  ['waited 5 ms four times, and had the GIL at once', [20.4, 4, 0, 0], 20, 20.5],
  ['waited 5 ms, and then for the GIL as long as others do', [12.5, 7, 7.5, 6], 4.5, 5.5],
  ['waited 5 ms, and then for the GIL twice as long as others do', [20, 13, 7.5, 6], 4, 7],
  ['waited for nothing but the GIL', [7, 6, 7.5, 6], 0, 1],
] as const)('a request that %s', (_what, figures, least, most) => {
  const [idle, sleeps, gilWait, gilSleeps] = figures;
  const waited = findWaiting(idle, sleeps, gilWait, gilSleeps);
  expect(waited).toBeGreaterThanOrEqual(least);
  expect(waited).toBeLessThanOrEqual(most);
});

/** Runs Python that has the meter; returns what it prints. */
function runMeter(...lines: string[]): string {
  const code = [
    'import runpy, sys',
    `meter = runpy.run_path('${root}workers/python/meter.py')`,
    ...lines,
  ].join('\n');
  return execFileSync(`${venv}/bin/python`, ['-c', code], { encoding: 'utf8' }).trim();
}

it('has threads ask for the GIL the later the more of them there are, unless the application has chosen', () => {
  const ask = 'print(sys.getswitchinterval())';
  const grow = [1, 8, 16, 64].flatMap((threads) => [`meter["pass_gil_sooner"](${threads})`, ask]);
  expect(runMeter(...grow).split('\n')).toEqual(['0.001', '0.001', '0.002', '0.005']);
  expect(runMeter('sys.setswitchinterval(0.02)', 'meter["pass_gil_sooner"](8)', ask)).toBe('0.02');
});

it('measures one request in a millisecond, of all workers together', () => {
  const lines = [
    'now = 5_000_000',
    'meter["Meter"].begin.__globals__["perf_counter_ns"] = lambda: now',
    'meters = [meter["Meter"](), meter["Meter"]()]',
    'def measure(which):',
    '    meters[which].begin()',
    '    return meters[which].end() != 0',
    'measured = [measure(0), measure(1)]',
    'now += 1_000_000',
    'print(measured, measure(1))',
  ];
  expect(runMeter(...lines)).toBe('[True, False] True');
});

describe('the GIL', () => {
  /** How often of eight looks it was found free, while another thread does this. */
  const countFree = (...doing: string[]) => {
    const code = [
      'import hashlib, os, runpy, threading, time',
      `meter = runpy.run_path('${root}workers/python/meter.py')`,
      'meter["pass_gil_sooner"](8)',
      'is_over = False',
      'def do():',
      '    while not is_over:',
      ...doing.map((line) => `        ${line}`),
      'thread = threading.Thread(target=do)',
      'thread.start()',
      'print(sum(meter["is_gil_free"]() for _ in range(8)))',
      'is_over = True',
      'thread.join()',
    ].join('\n');
    return Number(execFileSync(`${venv}/bin/python`, ['-c', code], { encoding: 'utf8' }));
  };

  it('is free beside a thread that waits, or computes without it', () => {
    expect(countFree('time.sleep(0.05)')).toBeGreaterThan(4);
    expect(countFree('hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 100_000)')).toBeGreaterThan(4);
  });

  it('is held by a thread that computes, also where that gives it up for a moment now and then', () => {
    expect(countFree('pass')).toBeLessThan(4);
    expect(countFree('sum(range(20_000))', 'os.stat("/")')).toBeLessThan(4);
  });
});
