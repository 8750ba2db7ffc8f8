/**
 * Every server that can take part, declared: how to find it, its version, and the command that serves an
 * application. A peer that is not found on the machine is left out.
 *
 * `command({ app, port, processes, threads })` gives [program, ...arguments]; `app` is a module's name under
 * apps/javascript or apps/python. Access logs are off everywhere, workers are as many as the scenario says.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { bench, javascriptApps, lidoCommand, root, venv } from './paths.mjs';
import { configureNginx } from './static-site.mjs';

const bin = (name) => `${venv}/bin/${name}`;
const inVenv = (name) => () => existsSync(bin(name));
const importable = (module) => () => python(`import ${module}`) !== null;
const distribution = (name) => () => python(`import importlib.metadata as m; print(m.version("${name}"))`);
const nodePackage = (name) => () => versionOf(`${bench}/node_modules/${name}/package.json`);
const script = (name, port, ...rest) => [process.execPath, `${bench}/peers/${name}.mjs`, port, ...rest];

const lidoOptions = ({ port, processes, threads }) => [
  ...[process.execPath, lidoCommand, '--bind', `127.0.0.1:${port}`, '--threads', threads],
  ...(processes > 1 ? ['--processes', processes] : []),
];

export const peers = {
  'Lido (JavaScript)': {
    own: true,
    language: 'javascript',
    found: () => existsSync(lidoCommand),
    version: () => versionOf(`${root}/package.json`),
    command: (how) => [
      ...lidoOptions(how),
      ...(how.options ?? []),
      `${javascriptApps}/${how.app}.js:application`,
    ],
  },
  'node:http': {
    language: 'javascript',
    found: () => true,
    version: () => process.versions.node,
    command: ({ port }) => script('node-http', port),
  },
  Fastify: {
    language: 'javascript',
    found: () => existsSync(`${bench}/node_modules/fastify`),
    version: nodePackage('fastify'),
    command: ({ port }) => script('fastify-inline', port),
  },
  'Fastify + Piscina': {
    language: 'javascript',
    found: () => existsSync(`${bench}/node_modules/piscina`),
    version: nodePackage('piscina'),
    command: ({ port, threads }) => script('fastify-piscina', port, threads),
  },
  'Fastify + Lido': {
    own: true,
    language: 'javascript',
    found: () => existsSync(`${bench}/node_modules/fastify`) && existsSync(lidoCommand),
    version: () => versionOf(`${root}/package.json`),
    command: ({ port, threads }) => script('fastify-lido', port, threads),
  },

  Lido: {
    own: true,
    language: 'python',
    found: () => existsSync(lidoCommand) && existsSync(bin('python')),
    version: () => versionOf(`${root}/package.json`),
    command: (how) => [
      ...lidoOptions(how),
      '--python',
      venv,
      ...(how.options ?? []),
      `${how.app}:application`,
    ],
  },
  'gunicorn sync': {
    language: 'python',
    found: inVenv('gunicorn'),
    version: distribution('gunicorn'),
    command: ({ app, port, processes, threads }) =>
      gunicorn(app, port, ['-k', 'sync', '-w', processes * threads]),
  },
  'gunicorn gthread': {
    language: 'python',
    found: inVenv('gunicorn'),
    version: distribution('gunicorn'),
    command: ({ app, port, processes, threads }) =>
      gunicorn(app, port, ['-k', 'gthread', '-w', processes, '--threads', Math.max(threads, 2)]),
  },
  'uWSGI --http': {
    language: 'python',
    found: inVenv('uwsgi'),
    version: distribution('uwsgi'),
    command: ({ port, ...how }) => uwsgi(how, ['--http', `127.0.0.1:${port}`, '--http-keepalive']),
  },
  'uWSGI --http11-socket': {
    language: 'python',
    found: inVenv('uwsgi'),
    version: distribution('uwsgi'),
    command: ({ port, ...how }) => uwsgi(how, ['--http11-socket', `127.0.0.1:${port}`]),
  },
  waitress: {
    language: 'python',
    found: inVenv('waitress-serve'),
    version: distribution('waitress'),
    command: ({ app, port, processes, threads }) => [
      ...[bin('waitress-serve'), '--listen', `127.0.0.1:${port}`, '--threads', processes * threads],
      ...['--backlog', 4096, '--connection-limit', 2000, '--max-request-body-size', 2 ** 32],
      `${app}:application`,
    ],
  },
  granian: {
    language: 'python',
    found: inVenv('granian'),
    version: distribution('granian'),
    command: ({ app, port, processes, threads, options = [] }) => [
      ...[bin('granian'), '--interface', 'wsgi', '--host', '127.0.0.1', '--port', port, '--no-ws'],
      ...[
        '--workers',
        processes,
        '--blocking-threads',
        threads,
        '--log-level',
        'warning',
        ...options,
        `${app}:application`,
      ],
    ],
  },
  uvicorn: uvicorn([]),
  'uvicorn WSGI': uvicorn(['--interface', 'wsgi']),
  'granian ASGI': {
    language: 'python',
    found: inVenv('granian'),
    version: distribution('granian'),
    command: ({ app, port, processes, options = [] }) => [
      ...[bin('granian'), '--interface', 'asgi', '--host', '127.0.0.1', '--port', port, '--loop', 'uvloop'],
      ...['--workers', processes, '--log-level', 'warning', ...options, `${app}:application`],
    ],
  },
  hypercorn: {
    language: 'python',
    found: inVenv('hypercorn'),
    version: distribution('hypercorn'),
    command: ({ app, port, processes }) => [
      ...[
        bin('hypercorn'),
        '--bind',
        `127.0.0.1:${port}`,
        '--workers',
        processes,
        '--worker-class',
        'uvloop',
      ],
      ...['--log-level', 'warning', `${app}:application`],
    ],
  },
  nginx: {
    language: 'python',
    found: () => spawnSync('nginx', ['-v']).error === undefined,
    version: () => spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr.trim().replace(/^.*\//, ''),
    command: (how) => ['nginx', '-c', configureNginx(how)],
  },
  bjoern: {
    language: 'python',
    found: importable('bjoern'),
    version: distribution('bjoern'),
    command: ({ app, port, processes, threads }) => [
      ...[bin('python'), `${bench}/peers/serve_bjoern.py`, port, processes * threads, app],
    ],
  },
  cheroot: {
    language: 'python',
    found: inVenv('cheroot'),
    version: distribution('cheroot'),
    command: ({ app, port, processes, threads }) => [
      ...[bin('cheroot'), '--bind', `127.0.0.1:${port}`, '--threads', processes * threads],
      ...['--request-queue-size', 4096, `${app}:application`],
    ],
  },
  mod_wsgi: {
    language: 'python',
    found: inVenv('mod_wsgi-express'),
    version: distribution('mod_wsgi'),
    command: ({ app, port, processes, threads }) => [
      ...[
        bin('mod_wsgi-express'),
        'start-server',
        '--host',
        '127.0.0.1',
        '--port',
        port,
        '--log-to-terminal',
      ],
      ...['--processes', processes, '--threads', threads, '--keep-alive-timeout', 60, '--allow-localhost'],
      ...(process.getuid?.() === 0 ? ['--user', 'nobody', '--group', 'nogroup'] : []),
      ...['--application-type', 'module', app],
    ],
  },
};

function uvicorn(options) {
  return {
    language: 'python',
    found: inVenv('uvicorn'),
    version: distribution('uvicorn'),
    command: ({ app, port, processes }) => [
      ...[bin('uvicorn'), '--port', port, '--workers', processes, '--loop', 'uvloop', '--http', 'httptools'],
      ...['--log-level', 'warning', '--no-access-log', ...options, `${app}:application`],
    ],
  };
}

function gunicorn(app, port, kind) {
  const binding = [
    '--bind',
    `127.0.0.1:${port}`,
    '--backlog',
    4096,
    '--keep-alive',
    60,
    '--log-level',
    'warning',
  ];
  return [bin('gunicorn'), ...binding, ...kind, `${app}:application`];
}

function uwsgi({ app, processes, threads }, binding) {
  const workers = ['--processes', processes, ...(threads > 1 ? ['--threads', threads] : [])];
  const quiet = ['--disable-logging', '--master', '--die-on-term', '--need-app', '--listen', 1024];
  return [
    bin('uwsgi'),
    ...binding,
    ...workers,
    ...quiet,
    '--module',
    `${app}:application`,
    '--virtualenv',
    venv,
  ];
}

function versionOf(packageFile) {
  return existsSync(packageFile) ? JSON.parse(readFileSync(packageFile, 'utf8')).version : null;
}

/** What the virtual environment's Python prints, or null when it fails. */
export function python(code) {
  try {
    return execFileSync(bin('python'), ['-c', code], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}
