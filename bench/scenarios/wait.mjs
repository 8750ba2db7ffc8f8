import { enter } from '../lib/contestants.mjs';

/** Twice as many clients as threads: a thread that is free finds the next request waiting. */
const group = (threads, peers) => ({
  name: `Python waiting, ${threads} threads`,
  app: 'work',
  expect: { path: '/tiny', body: 'done\n' },
  loads: [
    ...[3, 10, 50, 100].map((ms) => ({
      name: `${ms} ms waits, at most ${Math.round((threads * 1000) / ms)} a second`,
      kind: 'saturate',
      path: `/wait/${ms}`,
      connections: 2 * threads,
    })),
    mix(threads, '1 ms of work and 5 ms of waiting in each request', ['/both/1/5']),
    mix(threads, 'a half waits 10 ms, a half works 1 ms', ['/wait/10', '/cpu/1']),
    mix(threads, 'a half waits 10 ms, a half works 10 ms', ['/wait/10', '/cpu/10']),
  ],
  contestants: ['Lido', ...peers].map((peer) => enter(peer, { threads })),
});

const mix = (threads, name, paths) => ({
  name,
  kind: 'saturate',
  path: paths[0],
  paths,
  connections: 2 * threads,
  alsoRatio: 'p99',
});

const computing = (name, app, path) => ({
  name,
  app,
  expect: { path: '/', body: 'Hello, world!\n' },
  loads: [
    { name: 'with one thread, and with eight', kind: 'saturate', path, connections: 32, alsoRatio: 'p99' },
  ],
  contestants: [
    enter('Lido', { threads: 8 }),
    enter('Lido', { threads: 1 }),
    enter('granian', { threads: 8 }),
    enter('granian', { threads: 1 }),
    enter('gunicorn gthread', { threads: 8 }),
  ],
});

export default {
  title: 'Waiting Python',
  text: 'Requests that wait for something else under one GIL, where threads let the waits overlap; such that compute as well; and pages that only compute, to which more threads are to do no harm.',
  calibrated: true,
  groups: [
    group(8, ['granian', 'gunicorn gthread', 'waitress', 'uWSGI --http11-socket', 'cheroot']),
    group(64, ['granian', 'gunicorn gthread']),
    computing('Flask hello', 'flask_app', '/'),
    computing('Django page', 'django_app', '/page'),
  ],
};
