import { expect, it } from 'vitest';
import { findUnread, type Surroundings } from '../../../dist/src/server/unread.js';
import { resolveSettings, type UserSettings } from '../../../dist/src/settings/resolve.js';

function find(
  environment: Record<string, string>,
  flags: UserSettings = {},
  around: Partial<Surroundings> = {},
) {
  const values = { application: 'app', ...flags };
  const resolved = resolveSettings([{ origin: 'flag', values, placeOf: (key) => `--${key}` }]);
  const surroundings = { pid: 7, isConfigured: false, servesPython: true, hasFile: () => false };
  return findUnread(resolved, { environment, ...surroundings, ...around });
}

it('has nothing to say where nothing is set for others', () => {
  expect(find({ PATH: '/bin', LIDO_THREADS: '2', WEB_CONCURRENCY: '', LISTEN_FDS: '' })).toEqual([]);
});

it('names what gunicorn, uvicorn, granian and uWSGI take options from', () => {
  const hasFile = (name: string) => name === 'gunicorn.conf.py';
  const environment = {
    GUNICORN_CMD_ARGS: '-w 3',
    UVICORN_PORT: '1',
    UVICORN_HOST: 'a',
    GRANIAN_WORKERS: '2',
  };
  expect(find(environment, {}, { hasFile })).toEqual([
    'UVICORN_PORT, UVICORN_HOST are not read: LIDO_ variables take their place (docs/from-uvicorn.md)',
    'GRANIAN_WORKERS is not read: LIDO_ variables take their place (docs/from-granian.md)',
    'GUNICORN_CMD_ARGS is not read: write the options behind lido, or as LIDO_ variables (docs/from-gunicorn.md)',
    'gunicorn.conf.py is not read: lido.config.toml takes its place (docs/from-gunicorn.md)',
  ]);
  expect(find({}, {}, { hasFile, isConfigured: true })).toEqual([]);
});

it('takes what Kubernetes sets for a service that is called as a server for nothing else', () => {
  const service = {
    UWSGI_SERVICE_HOST: '10.0.0.1',
    UWSGI_SERVICE_PORT_HTTP: '80',
    UWSGI_PORT: 'tcp://10.0.0.1:80',
    UWSGI_PORT_80_TCP_ADDR: '10.0.0.1',
  };
  expect(find(service)).toEqual([]);
  expect(find({ ...service, UWSGI_HTTP: ':80', UVICORN_PORT: '80' })).toEqual([
    expect.stringMatching(/^UVICORN_PORT is not read/),
    expect.stringMatching(/^UWSGI_HTTP is not read/),
  ]);
});

it.each<[variable: string, flags: UserSettings]>([
  ['FORWARDED_ALLOW_IPS', { forwardedAllowIps: ['10.0.0.1'] }],
  ['WEB_CONCURRENCY', { processes: 2 }],
  ['WEB_CONCURRENCY', { threads: 2 }],
  ['WEB_CONCURRENCY', { maxThreads: 2 }],
])('names %s, until Lido is told: %j', (variable, flags) => {
  expect(find({ [variable]: '2' })).toEqual([expect.stringMatching(`^${variable} is not read`)]);
  expect(find({ [variable]: '2' }, flags)).toEqual([]);
});

it('leaves WEB_CONCURRENCY alone where no Python is served: platforms set it for every program', () => {
  expect(find({ WEB_CONCURRENCY: '2' }, {}, { servesPython: false })).toEqual([]);
});

it('tells of sockets of systemd that nobody listens on', () => {
  const opened = { LISTEN_FDS: '2', LISTEN_PID: '7' };
  expect(find(opened, { bind: ['fd://3', 'fd://4'] })).toEqual([]);
  expect(find(opened, { bind: ['127.0.0.1:80'] })).toEqual([
    'the sockets that systemd opened (LISTEN_FDS) are not listened on: --bind names others, fd://3 is the first of them',
  ]);
  expect(find({ ...opened, LISTEN_PID: '6' })).toEqual([
    'the sockets that systemd opened (LISTEN_FDS) are for process 6, and this is 7: let ExecStart= run lido itself, or a shell that does so by exec, and not npm',
  ]);
  expect(find({ LISTEN_FDS: '2' })).toEqual([
    'LISTEN_FDS is set without LISTEN_PID, and its sockets are not listened on: --bind fd://3 takes the first of them',
  ]);
  expect(find({ LISTEN_FDS: '0' })).toEqual([]);
});
