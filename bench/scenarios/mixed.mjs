import { ALL_PYTHON, CORES, enter, pythonPeers } from '../lib/contestants.mjs';

/** Everyone gets as many workers: more than cores, so that two slow requests at once do not stop the rest. */
const WORKERS = 2 * CORES;
const expect = { path: '/tiny', body: 'done\n' };
const load = (slow) => ({
  name: 'tiny ones',
  kind: 'mixed',
  tiny: '/tiny',
  slow,
  tinyPerSecond: 120,
  slowPerSecond: 3,
  // A p99 needs its hundreds: of two seconds one or two slow requests would decide it.
  secondsFactor: 5,
  better: 'lower',
  metric: 'p99',
});
const threadsOfGunicorn = enter('gunicorn gthread', { threads: WORKERS });
const others = ALL_PYTHON.filter((name) => name !== 'gunicorn gthread');

export default {
  title: 'Mixed',
  text: 'Requests at random times, 120 tiny ones and 3 of 200 ms a second: the latency of the tiny ones alone. The slow ones work on a core, or wait for something else.',
  calibrated: true,
  groups: [
    {
      name: 'JavaScript mixed, slow ones work',
      app: 'work',
      expect,
      loads: [load('/cpu/200')],
      contestants: [
        enter('Lido (JavaScript)', { threads: WORKERS }),
        enter('Fastify'),
        enter('Fastify + Piscina', { threads: WORKERS }),
      ],
    },
    {
      name: "Fastify's own route beside slow ones that work",
      app: 'work',
      expect,
      loads: [load('/cpu/200')],
      contestants: [enter('Fastify + Lido', { threads: CORES }), enter('Fastify')],
    },
    {
      name: 'Python below /legacy beside JavaScript that computes, in one Fastify process',
      app: 'work',
      expect: { path: '/legacy/tiny', body: 'done\n' },
      loads: [{ ...load('/cpu/200'), tiny: '/legacy/tiny' }],
      contestants: [enter('Fastify + Lido', { threads: CORES })],
    },
    {
      name: 'Python mixed, slow ones wait',
      app: 'work',
      expect,
      loads: [load('/wait/200')],
      contestants: [
        enter('Lido', { threads: WORKERS }),
        enter('Lido', { processes: CORES, threads: 2 }),
        threadsOfGunicorn,
        ...pythonPeers(WORKERS, others),
      ],
    },
    {
      name: 'Python mixed, slow ones work',
      app: 'work',
      expect,
      loads: [load('/cpu/200')],
      contestants: [
        enter('Lido', { threads: WORKERS }),
        enter('Lido', { processes: CORES, threads: 2 }),
        enter('Lido', { processes: WORKERS }),
        enter('Lido', { threads: WORKERS, options: ['--python-interpreter', 'isolated'], note: 'isolated' }),
        threadsOfGunicorn,
        ...pythonPeers(WORKERS, [
          'gunicorn sync',
          'uWSGI --http',
          'uWSGI --http11-socket',
          'granian',
          'bjoern',
        ]),
      ],
    },
  ],
};
