import { CORES, enter, pythonPeers } from '../lib/contestants.mjs';

const hello = { path: '/', body: 'Hello, world!\n' };
const page = { path: '/page', includes: ['Item &lt;', 'Visits: 1', 'Total of 20 items', '</table>'] };
/**
 * V8 compiles what has run a few thousand times, which takes pages longer: within a second Lido's main thread has not got
 * there, and takes twice the time that it takes from then on.
 */
const PAGE_WARM_UP_SECONDS = 8;
const names = [
  'gunicorn sync',
  'gunicorn gthread',
  'uWSGI --http',
  'uWSGI --http11-socket',
  'granian',
  'bjoern',
  'mod_wsgi',
];

const group = (name, app) => ({
  name,
  app,
  expect: hello,
  checks: [page],
  loads: [
    { name: 'hello', kind: 'saturate', path: '/', connections: 32, ownCost: true },
    {
      name: 'page',
      kind: 'saturate',
      path: '/page',
      connections: 32,
      ownCost: true,
      warmUpSeconds: PAGE_WARM_UP_SECONDS,
    },
  ],
  contestants: [
    enter('Lido'),
    enter('Lido', { processes: CORES }),
    enter('granian'),
    ...pythonPeers(CORES, names),
  ],
});

export default {
  title: 'Flask and Django',
  text: 'The same two frameworks under every server: a hello, and a page with a template, twenty rows from SQLite and a signed session. The page shows what a fast server is worth to a real application. Beyond the application: processor time for each request, less what the application takes when it is called without a server.',
  groups: [group('Flask', 'flask_app'), group('Django', 'django_app')],
};
