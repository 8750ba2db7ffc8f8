import { CORES, enter } from '../lib/contestants.mjs';

const expect = { path: '/tiny', body: 'done\n' };
const loads = [{ name: '10 ms of work', kind: 'saturate', path: '/cpu/10', connections: 16 }];

export default {
  title: 'CPU-bound',
  text: 'Ten milliseconds of work on one core in every request: how far more workers help.',
  calibrated: true,
  groups: [
    {
      name: 'JavaScript CPU',
      app: 'work',
      expect,
      loads,
      contestants: [
        enter('Lido (JavaScript)'),
        enter('Lido (JavaScript)', { threads: CORES }),
        enter('Fastify'),
        enter('Fastify + Piscina', { threads: CORES }),
      ],
    },
    {
      name: 'Python CPU',
      app: 'work',
      expect,
      loads,
      contestants: [
        enter('Lido'),
        enter('Lido', { threads: CORES, note: 'shared GIL' }),
        enter('Lido', { threads: CORES, note: 'own GILs', options: ['--python-interpreter', 'isolated'] }),
        enter('Lido', { processes: CORES }),
        enter('gunicorn sync', { processes: CORES }),
        enter('gunicorn gthread', { threads: CORES }),
        enter('uWSGI --http11-socket', { processes: CORES }),
        enter('granian', { processes: CORES }),
      ],
    },
  ],
};
