import { CORES, enter } from '../lib/contestants.mjs';

const THREADS = 8;

export default {
  title: 'Waiting Python',
  text: 'Every request waits 50 ms for something else, under one GIL: threads let the waits overlap. The ceiling is 20 requests a second for each thread.',
  groups: [
    {
      name: 'Python waiting 50 ms',
      app: 'work',
      expect: { path: '/tiny', body: 'done\n' },
      loads: [{ name: '50 ms waits', kind: 'saturate', path: '/wait/50', connections: 32 }],
      contestants: [
        enter('Lido'),
        enter('Lido', { threads: THREADS }),
        enter('gunicorn gthread', { threads: THREADS }),
        enter('uWSGI --http11-socket', { threads: THREADS }),
        enter('waitress', { threads: THREADS }),
        enter('granian', { threads: THREADS }),
        enter('cheroot', { threads: THREADS }),
        enter('gunicorn sync', { processes: CORES }),
      ],
    },
  ],
};
