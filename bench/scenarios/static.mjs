import { CORES, enter } from '../lib/contestants.mjs';
import { contentOf, makeStaticSite, staticSite } from '../lib/static-site.mjs';

makeStaticSite();

const lido = ['--static', `/static=${staticSite}`];
const granian = ['--static-path-route', '/static', '--static-path-mount', staticSite];
const loads = [
  { name: '4 KiB', kind: 'saturate', path: '/static/small.css', connections: 32 },
  { name: '48 KiB', kind: 'saturate', path: '/static/medium.js', connections: 32 },
  { name: '1 MiB', kind: 'saturate', path: '/static/large.bin', connections: 32 },
];

export default {
  title: 'Static files',
  text: 'Files that lie below a path, answered before the application (`--static`). nginx sends them from the page cache by sendfile; Lido keeps those of up to 64 KiB in memory for a second.',
  groups: [
    {
      name: 'Static files',
      app: 'hello',
      expect: { path: '/static/small.css', body: contentOf('small.css') },
      loads,
      contestants: [
        enter('Lido', { options: lido }),
        enter('Lido', { options: lido, processes: CORES }),
        enter('nginx'),
        enter('nginx', { processes: CORES }),
        enter('granian', { options: granian }),
        enter('granian', { options: granian, processes: CORES }),
      ],
    },
  ],
};
