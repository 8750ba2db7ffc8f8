// One application object for all threads of a process: made once, on Python's main thread.
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido } from './support/command.js';
import { type RunningServer, root, startServer, venv } from './support/server.js';

const MADE_ONCE = `${root}test/apps/made_once.py`;

function serve(callable: string, settings: object = {}): Promise<RunningServer> {
  return startServer({ application: `${MADE_ONCE}:${callable}`, python: venv, ...settings });
}

async function ask(url: string, path = ''): Promise<string> {
  const response = await fetch(url + path);
  expect([path, response.status]).toEqual([path, 200]);
  return response.text();
}

describe('the module', () => {
  it('is imported once, by the main thread, which has an event loop, however many threads serve', async () => {
    const { url } = await serve('tell_of_import', { threads: 4 });
    expect(await ask(url)).toBe('(True, True, 1)');
  });
});

describe('what a factory made', () => {
  it('is shared by all threads: twelve clients that poll are known to each', async () => {
    const { url } = await serve('make_once("rooms")', { threads: 4 });
    const threads = await Promise.all(Array.from({ length: 4 }, () => ask(url, '/meet')));
    expect(new Set(threads).size).toBe(4);
    const numbers = await Promise.all(Array.from({ length: 12 }, () => ask(url, '/join')));
    const answers = await Promise.all(numbers.map((number) => ask(url, `/poll?${number}`)));
    expect(answers).toEqual(Array(12).fill('True'));
  });

  it('is handed to the thread that takes the place of a stuck one', async () => {
    const { url } = await serve('make_once("stuck")', { threads: 1, timeout: 0.2 });
    const number = await ask(url, '/join');
    expect((await fetch(`${url}/sleep`)).status).toBe(504);
    expect(await ask(url, `/poll?${number}`)).toBe('True');
  });

  it("is each mount's own", async () => {
    const mounts = Object.fromEntries(
      ['one', 'other'].map((name) => [`/${name}`, { application: `${MADE_ONCE}:make_once("${name}")` }]),
    );
    const { url } = await startServer({ mounts, python: venv });
    const number = await ask(url, '/one/join');
    expect([await ask(url, `/one/poll?${number}`), await ask(url, `/other/poll?${number}`)]).toEqual([
      'True',
      'False',
    ]);
  });

  it('is let go of when its server is closed', async () => {
    const application = [
      'import weakref',
      'made = []',
      'class Application:',
      '    def __call__(self, environ, start_response):',
      '        start_response("200 OK", [])',
      '        return [str([one() is None for one in made]).encode()]',
      'def make():',
      '    application = Application()',
      '    made.append(weakref.ref(application))',
      '    return application',
    ];
    const folder = makeFolder({ 'remembers.py': application.join('\n') });
    const settings = { application: `${folder}/remembers.py:make()`, python: venv };
    const first = await startServer(settings);
    await first.server.close();
    const { url } = await startServer(settings);
    expect(await ask(url)).toBe('[True, False]');
  });
});

describe('an application that the factory refuses', () => {
  it('is told with its traceback, once', async () => {
    const words = ['check', '--python', venv, '--threads', '3', 'twice.py:make()'];
    const cwd = makeFolder({
      'twice.py': 'def make():\n    print("made")\n    raise ValueError("a duplicate")\n',
    });
    const { code, stderr, stdout } = await runLido(words, { cwd });
    expect(code).toBe(3);
    expect(stderr).toContain('LIDO_FACTORY_FAILED');
    expect(stderr).toContain('ValueError: a duplicate');
    expect(stdout.match(/^made$/gm)).toHaveLength(1);
  });
});
