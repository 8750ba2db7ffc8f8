// The command begins a process before it knows what it is to serve: what it guessed must show nowhere.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { venv } from './support/server.js';

const TELLS = `import os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    print('asked for', environ['PATH_INFO'], flush=True)
    with open('/proc/self/environ') as begun_with:
        began = 'SHOP=open' in begun_with.read().split('\\0')
    return ['{} {} {}'.format(os.getpid(), os.environ.get('SHOP'), began).encode()]
`;

function serve(config: Readonly<Record<string, unknown>>) {
  const files = { 'tells.py': TELLS, 'lido.config.json': JSON.stringify({ threads: 1, ...config }) };
  return serveLido(['--python', venv, 'tells.py:application'], { cwd: makeFolder(files) });
}

/** Node.js alone: asking a Python what it is makes a child, too. */
function listChildren(pid: number | undefined): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return children
    .filter((child) => child !== '')
    .map(Number)
    .filter((child) => readCommand(child).includes('process-entry'));
}

/** Empty where it is gone. */
function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe.runIf(process.platform === 'linux')('what is begun before the settings are read', () => {
  it('serves, as the one process that there is', async () => {
    const { url, child } = await serve({});
    const [pid, shop, began] = (await (await fetch(url)).text()).split(' ');
    expect([shop, began]).toEqual(['None', 'False']);
    expect(listChildren(child.pid)).toEqual([Number(pid)]);
  });

  it('gives way to another that has the variables of the settings from its beginning', async () => {
    const { url, child } = await serve({ env: ['SHOP=open'] });
    const [pid, shop, began] = (await (await fetch(url)).text()).split(' ');
    expect([shop, began]).toEqual(['open', 'True']);
    expect(listChildren(child.pid)).toEqual([Number(pid)]);
  });

  it('gives way to another that is begun as what the config file has made of the command', async () => {
    const files = {
      'lido.config.mjs': 'process.umask(0o027); export default { threads: 1 };',
      'tells.py': `import os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    before = os.umask(0)
    os.umask(before)
    return [oct(before).encode()]
`,
    };
    const { url } = await serveLido(['--python', venv, 'tells.py'], { cwd: makeFolder(files) });
    expect(await (await fetch(url)).text()).toBe('0o27');
  });

  it('gives way to another whose output is read', async () => {
    const { url, child, stdout, waitFor } = await serve({ logFormat: 'json', captureOutput: true });
    await (await fetch(`${url}/page`)).text();
    await waitFor('asked for /page');
    expect(stdout()).toBe('');
    expect(listChildren(child.pid)).toHaveLength(1);
  });

  it('is ended where there is no supervisor', async () => {
    const { url, child } = await serve({ supervise: false });
    expect(await (await fetch(url)).text()).toBe(`${child.pid} None False`);
    expect(listChildren(child.pid)).toEqual([]);
  });

  it('ends with a command that cannot serve', async () => {
    const files = { 'tells.py': TELLS, 'lido.config.json': '{ "thread": 1 }' };
    // It resolves when nobody has standard error open any more.
    const { code, stderr } = await runLido(['tells.py'], { cwd: makeFolder(files) });
    expect(code).not.toBe(0);
    expect(stderr).toContain('unknown setting thread');
  });
});
