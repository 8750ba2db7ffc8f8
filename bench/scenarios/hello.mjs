import { ALL_PYTHON, CORES, enter, pythonPeers } from '../lib/contestants.mjs';

const loads = [
  { name: '32 connections', kind: 'saturate', path: '/', connections: 32 },
  { name: '256 connections', kind: 'saturate', path: '/', connections: 256, rounds: 1 },
  { name: '1,000 connections', kind: 'starve', path: '/', connections: 1000, rounds: 1, secondsFactor: 2 },
];
const expect = { path: '/', body: 'Hello, world!\n' };

export default {
  title: 'Hello',
  text: "The smallest answer: a server's own cost. At 1,000 connections, the clients that never got an answer in the window are counted.",
  groups: [
    {
      name: 'JavaScript hello',
      app: 'hello',
      expect,
      loads,
      contestants: [
        enter('Lido (JavaScript)'),
        enter('Lido (JavaScript)', { threads: CORES }),
        enter('node:http'),
        enter('Fastify'),
        enter('Fastify + Piscina', { threads: CORES }),
      ],
    },
    {
      name: 'Python hello',
      app: 'hello',
      expect,
      loads,
      contestants: [enter('Lido'), enter('Lido', { processes: CORES }), ...pythonPeers(CORES, ALL_PYTHON)],
    },
  ],
};
