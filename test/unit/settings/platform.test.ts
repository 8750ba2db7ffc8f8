import { expect, it } from 'vitest';
import { findUnsupported } from '../../../dist/src/settings/platform.js';
import { resolveSettings, type UserSettings } from '../../../dist/src/settings/resolve.js';

const LINUX = { system: 'linux', node: '24.1.0' };

it.each<[UserSettings, string, string, string | null]>([
  [{ bind: ['unix:@lido'] }, 'linux', '24.1.0', null],
  [
    { bind: ['unix:@lido'] },
    'darwin',
    '24.1.0',
    'bind unix:@lido: only Linux has abstract sockets: write unix:PATH',
  ],
  [
    { bind: ['unix:@lido'] },
    'win32',
    '24.1.0',
    'bind unix:@lido: only Linux has abstract sockets: write unix:PATH',
  ],
  [{ bind: ['unix:/run/lido'] }, 'darwin', '24.1.0', null],
  [
    { bind: ['unix:/run/lido'] },
    'win32',
    '24.1.0',
    'bind unix:/run/lido: Node.js has no Unix sockets on Windows: write HOST:PORT',
  ],
  [
    { bind: ['fd://3'] },
    'win32',
    '24.1.0',
    'bind fd://3: Windows hands no open sockets over: write HOST:PORT',
  ],
  [{ bind: ['8000'] }, 'win32', '24.1.0', null],
])('%j on %s with Node.js %s', (user, system, node, text) => {
  const resolved = resolveSettings([{ origin: 'file', values: user, placeOf: () => 'lido.config.json:1' }]);
  const mistake = text === null ? [] : [{ place: 'lido.config.json:1', text }];
  expect(findUnsupported(resolved, { system, node })).toEqual(mistake);
});

it.each([
  ['linux', '22.12.0', null],
  ['linux', '24.1.0', null],
  [
    'linux',
    '22.11.9',
    'reusePort needs Node.js 22.12 or later, and this is 22.11.9: --processes shares connections out in any',
  ],
  [
    'darwin',
    '24.1.0',
    'reusePort is for Linux, which shares connections out among servers: elsewhere --processes does',
  ],
])('reusePort on %s with Node.js %s', (system, node, text) => {
  const { settings, origins } = resolveSettings([]);
  const resolved = { settings: { ...settings, reusePort: true }, origins };
  expect(findUnsupported(resolved, { ...LINUX, system, node }).map((mistake) => mistake.text)).toEqual(
    text === null ? [] : [text],
  );
});
