import { CORES, enter, pythonPeers } from '../lib/contestants.mjs';

const expect = { path: '/', body: 'Hello, world!\n' };
const loads = [{ name: 'at rest', kind: 'rest', better: 'lower', metric: 'startMs' }];

export default {
  title: 'Start and rest',
  text: 'From the command to the first answer, and the memory a second later (a page shared by n processes counts 1/n in each).',
  groups: [
    {
      name: 'JavaScript start',
      app: 'hello',
      expect,
      loads,
      contestants: [
        enter('Lido (JavaScript)'),
        enter('Lido (JavaScript)', { threads: 2 }),
        enter('Lido (JavaScript)', { threads: 4 }),
        enter('Lido (JavaScript)', { processes: 2 }),
        enter('node:http'),
        enter('Fastify'),
        enter('Fastify + Piscina', { threads: CORES }),
      ],
    },
    {
      name: 'Python start',
      app: 'hello',
      expect,
      loads,
      contestants: [
        enter('Lido'),
        enter('Lido', { threads: 4 }),
        enter('Lido', { processes: 2 }),
        ...pythonPeers(CORES, [
          'gunicorn sync',
          'uWSGI --http11-socket',
          'waitress',
          'granian',
          'bjoern',
          'mod_wsgi',
        ]),
      ],
    },
  ],
};
