import { enter } from '../lib/contestants.mjs';

const GIGABYTE = 2 ** 30;
const BLOCKS = 10_000;
const loads = [
  {
    name: '1 GiB down',
    kind: 'transfer',
    method: 'GET',
    path: `/down/${GIGABYTE}`,
    bytes: GIGABYTE,
    atLeast: GIGABYTE,
    unit: 'MB/s',
  },
  { name: '1 GiB up', kind: 'transfer', method: 'PUT', path: '/up', bytes: GIGABYTE, unit: 'MB/s' },
  {
    name: '10,000 blocks of 100 bytes',
    kind: 'transfer',
    method: 'GET',
    path: `/blocks/${BLOCKS}`,
    bytes: BLOCKS * 100,
    atLeast: BLOCKS * 100,
    unit: 'MB/s',
  },
];
/** By default Lido has a body whole, in a file, before its worker gets the request; most others hand it over as it comes, and so can Lido. */
const AS_IT_COMES = { options: ['--no-request-buffering'], note: 'bodies as they come' };
const common = { app: 'stream', expect: { path: '/blocks/1', body: 'x'.repeat(100) }, loads, rounds: 2 };

export default {
  title: 'Streaming',
  text: 'One large body at a time, in blocks of 64 KiB; and one answer of many small blocks, each of which PEP 3333 wants sent at once. Lido takes a large body in whole, through a file, before a worker is bothered; with --no-request-buffering a worker gets it as it comes, as it does from all others here but waitress.',
  groups: [
    {
      ...common,
      name: 'JavaScript streaming',
      contestants: [
        enter('Lido (JavaScript)'),
        enter('Lido (JavaScript)', AS_IT_COMES),
        enter('node:http'),
        enter('Fastify'),
      ],
    },
    {
      ...common,
      name: 'Python streaming',
      contestants: [
        enter('Lido'),
        enter('Lido', AS_IT_COMES),
        enter('gunicorn sync'),
        enter('uWSGI --http'),
        enter('uWSGI --http11-socket'),
        enter('waitress', { threads: 2 }),
        enter('granian'),
        enter('cheroot', { threads: 2 }),
        enter('mod_wsgi'),
      ],
    },
  ],
};
