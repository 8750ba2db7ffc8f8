// The server's own log, where nobody takes its lines: serving goes on, and what was lost is told of once it is written again.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LogOutput } from '../dist/src/log-output.js';
import { makeFolder } from './support/command.js';
import { root, venv } from './support/server.js';

const SITE = {
  'says.mjs': `export function application(environ, startResponse) {
    environ['wsgi.errors'].write('said\\n');
    console.log('printed');
    console.error('printed');
    if (environ.PATH_INFO === '/fails') throw new Error('no');
    startResponse('200 OK', []);
    return ['served'];
  }`,
  'says.py': `def application(environ, start_response):
    environ['wsgi.errors'].write('said\\n')
    if environ['PATH_INFO'] == '/fails':
        raise ValueError('no')
    start_response('200 OK', [])
    return [b'served']
`,
};

function ask(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get({ socketPath, path, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve(`${response.statusCode} ${body}`));
      })
      .on('error', reject);
  });
}

describe.each(['text', 'json'])('as %s', (format) => {
  describe.each(['says.mjs', 'says.py'])('of %s', (file) => {
    it.each([
      ['on a full disk', '>/dev/full 2>/dev/full'],
      ['in a pipe that nobody reads any more', ''],
    ])('%s costs lines, and not the server', async (_where, redirection) => {
      const cwd = makeFolder(SITE);
      const words = `exec "$0" ${root}dist/src/cli.js --bind unix:s.sock --log-format ${format} --python ${venv} ${file}`;
      const child = spawn('sh', ['-c', `${words} ${redirection}`, process.execPath], { cwd });
      onTestFinished(() => void child.kill('SIGKILL'));
      child.stderr.destroy();
      child.stdout.destroy();
      const socket = join(cwd, 's.sock');
      await expect.poll(() => ask(socket, '/').catch(() => ''), { timeout: 20_000 }).toBe('200 served');
      for (let count = 0; count < 5; count += 1) expect(await ask(socket, '/fails')).toMatch(/^500 /);
      expect(await ask(socket, '/')).toBe('200 served');
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
    });
  });
});

it('says in plain JSON what it has to say where no descriptor is left to load what makes its lines', () => {
  const script = `import { openSync } from 'node:fs';
    import { createLog } from '${root}dist/src/log.js';
    const log = createLog({ logLevel: 'info', logFormat: 'text' });
    try {
      for (;;) openSync('/dev/null');
    } catch (error) {
      log.error({ err: error, code: 'LIDO_SOME' }, 'no descriptor is left');
    }`;
  const words = ['-c', 'ulimit -n 64 && exec "$0" --input-type=module -e "$1"', process.execPath, script];
  const { stderr, status } = spawnSync('sh', words, { encoding: 'utf8' });
  expect([status, JSON.parse(stderr)]).toEqual([
    0,
    {
      level: 50,
      time: expect.any(Number),
      err: "Error: EMFILE: too many open files, open '/dev/null'",
      code: 'LIDO_SOME',
      msg: 'no descriptor is left',
    },
  ]);
});

it('tells how many lines were lost, once they are written again', async () => {
  const path = join(makeFolder({}), 'log');
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(fd));
  const told: number[] = [];
  const output = new LogOutput(fd, (lost) => told.push(lost));
  const line = `${'x'.repeat(1023)}\n`;
  for (let count = 0; count < 200; count += 1) output.write(line);
  const memory = Buffer.alloc(1024 * 1024);
  const taken = readSync(fd, memory) / line.length;
  expect(taken).toBeGreaterThan(0);
  output.write(line);
  await expect.poll(() => told).toEqual([200 - taken]);
  expect(readSync(fd, memory)).toBe(line.length);
});
