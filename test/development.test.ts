// --reload: what somebody writes is served as soon as it is saved, and what is wrong with it is shown.
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { LidoError } from '../dist/src/contract/errors.js';
import { makeFolder, type Running, runLido, serveLido, startLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, type Language, languages, startServer, venv } from './support/server.js';

// Each waits for several processes to start, one after the other.
vi.setConfig({ testTimeout: 90_000 });

const ASK_EACH_MS = 20;

type Files = Readonly<Record<string, string>>;

interface Development extends Running {
  readonly folder: string;
  readonly port: number;
  /** Saves as editors do: beside, then over the old one. */
  save(name: string, text: string): void;
  /** Asks again and again until the answer has this text in it; resolves with the answer. */
  sees(text: string, path?: string): Promise<string>;
}

async function develop(files: Files, words: readonly string[], env = {}): Promise<Development> {
  const folder = makeFolder(files);
  const running = await serveLido(['--reload', '--threads', '1', ...words], { cwd: folder, env });
  const port = Number(new URL(running.url).port);
  return {
    ...running,
    folder,
    port,
    save: (name, text) => save(folder, name, text),
    sees: async (text, path = '/') => {
      for (;;) {
        const response = await fetch(`${running.url}${path}`, { headers: { Connection: 'close' } });
        const body = await response.text();
        if (body.includes(text)) return body;
        // Who asks without a pause takes a core from what is to be loaded.
        await pause(ASK_EACH_MS);
      }
    },
  };
}

function save(folder: string, name: string, text: string): void {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}~`, text);
  renameSync(`${file}~`, file);
}

/** An application that answers with what a module of its own says, and imports another at its first request. */
const SOURCES: Readonly<Record<Language, { words: string[]; main: string; module: string; files: Files }>> = {
  javascript: {
    words: ['app.mjs'],
    main: 'app.mjs',
    module: 'words.mjs',
    files: {
      'app.mjs': `
        import { said } from './words.mjs';
        export async function application({ PATH_INFO: path }, startResponse) {
          const text = path === '/late' ? (await import('./late.mjs')).said : said;
          startResponse('200 OK', []);
          return [text];
        }`,
      'words.mjs': "export const said = 'first';",
      'late.mjs': "export const said = 'late';",
    },
  },
  python: {
    words: ['app.py', '--python', venv],
    main: 'app.py',
    module: 'words.py',
    files: {
      'app.py': [
        'from words import said',
        'def application(environ, start_response):',
        '    text = said',
        '    if environ["PATH_INFO"] == "/late":',
        '        from late import said as text',
        '    start_response("200 OK", [])',
        '    return [text.encode()]',
      ].join('\n'),
      'words.py': "said = 'first'",
      'late.py': "said = 'late'",
    },
  },
};

const say: Readonly<Record<Language, (text: string) => string>> = {
  javascript: (text) => `export const said = '${text}';`,
  python: (text) => `said = '${text}'`,
};
const BROKEN: Readonly<Record<Language, string>> = {
  javascript: "export const said = ''; throw new Error('<b>broken</b>');",
  python: "raise ValueError('<b>broken</b>')",
};
const MALFORMED: Readonly<Record<Language, string>> = {
  javascript: 'export const said = ;',
  python: 'said = = 1',
};

/** Says that it is being loaded, by a file, and never is. */
const ENDLESS: Readonly<Record<Language, string>> = {
  javascript: `
    import { writeFileSync } from 'node:fs';
    writeFileSync('begun', '');
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    export const said = 'never';`,
  python: ['import time', 'open("begun", "w").close()', 'while True: time.sleep(1)', 'said = "never"'].join(
    '\n',
  ),
};

describe.each(languages)('%s', (language) => {
  const { words, main, module, files } = SOURCES[language];

  it('serves a module as soon as it is saved, and names it in the log', async () => {
    const { save, sees, waitFor } = await develop(files, words);
    await sees('first');
    save(module, say[language]('second'));
    await sees('second');
    await waitFor(`${module} changed: loaded anew in `);
    save(module, say[language]('third'));
    await sees('third');
  });

  it('shows what is broken with its traceback, as text, and recovers with the next save', async () => {
    const { save, sees, waitFor, url } = await develop(files, words);
    save(module, BROKEN[language]);
    await sees('<b>broken</b>');
    const page = await fetch(url, { headers: { Accept: 'text/html' } });
    expect([page.status, page.headers.get('content-type')]).toEqual([500, 'text/html; charset=utf-8']);
    const html = await page.text();
    expect(html).toContain('LIDO_IMPORT_FAILED');
    expect(html).toContain('mend it and save');
    expect(html).toContain(`/${module}`);
    expect(html).toContain('&#60;b&#62;broken');
    expect(html).not.toContain('<b>');
    await waitFor(`${module} changed, and cannot be served: `);
    save(module, MALFORMED[language]);
    await sees('SyntaxError');
    save(module, say[language]('mended'));
    await sees('mended');
  });

  it('starts with what is broken, and serves it once it is mended', async () => {
    const { save, sees } = await develop({ ...files, [module]: BROKEN[language] }, words);
    await sees('<b>broken</b>');
    save(module, say[language]('mended'));
    await sees('mended');
  });

  it('gives up a load that does not end as soon as what it loads is mended', async () => {
    const { folder, save, sees } = await develop(files, words);
    await sees('first');
    save(module, ENDLESS[language]);
    await vi.waitUntil(() => existsSync(join(folder, 'begun')), 60_000);
    await sees('first');
    save(module, say[language]('mended'));
    await sees('mended');
  });

  it('ends in the midst of a load without a word against the code', async () => {
    const { folder, save, child, ended } = await develop(files, words);
    save(module, ENDLESS[language]);
    await vi.waitUntil(() => existsSync(join(folder, 'begun')), 60_000);
    child.kill('SIGTERM');
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).not.toContain('ERROR');
  });

  it('gives up a start that does not end, too', async () => {
    const folder = makeFolder({ ...files, [module]: ENDLESS[language] });
    const options = ['--bind', '127.0.0.1:0', '--reload', '--threads', '1'];
    const { stderr, waitFor } = startLido([...options, ...words], { cwd: folder });
    await vi.waitUntil(() => existsSync(join(folder, 'begun')), 60_000);
    save(folder, module, say[language]('mended'));
    await waitFor('loaded anew in ');
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(stderr())?.[0] ?? '';
    expect(await (await fetch(url)).text()).toBe('mended');
  });

  it('waits for a module that is not there yet, or no more', async () => {
    const { [module]: _, ...rest } = files;
    const { folder, save, sees } = await develop(rest, words);
    await sees('LIDO_IMPORT_FAILED');
    save(module, say[language]('there'));
    await sees('there');
    rmSync(join(folder, module));
    await sees('LIDO_IMPORT_FAILED');
    save(module, say[language]('back'));
    await sees('back');
  });

  it('knows what was imported by a request', async () => {
    const { save, sees } = await develop(files, words);
    await sees('late', '/late');
    const name = module.replace('words', 'late');
    // What Python has imported meanwhile is looked at twice a second.
    let number = 0;
    const saving = setInterval(() => {
      number += 1;
      save(name, say[language](`later ${number}`));
    }, 400);
    await sees('later ', '/late').finally(() => clearInterval(saving));
  });

  it('loads several saves at once, not each', async () => {
    const { save, sees, stderr } = await develop(files, words);
    for (let number = 0; number < 30; number += 1) save(module, say[language](`number ${number}`));
    save(main, `${files[main]}\n`);
    await sees('number 29');
    expect(stderr().match(/ changed: /g)?.length ?? 0).toBeLessThan(5);
  });
});

it('knows two sources apart that were saved in the same second and are as long', async () => {
  const { words, module, files } = SOURCES.python;
  // A few minutes ahead, as by the clock of another machine: it is the same second for as long as the test takes.
  const second = new Date((Math.floor(Date.now() / 1000) + 300) * 1000);
  const saveThen = (folder: string, text: string) => {
    writeFileSync(join(folder, `${module}~`), say.python(text));
    utimesSync(join(folder, `${module}~`), second, second);
    renameSync(join(folder, `${module}~`), join(folder, module));
  };
  const { folder, sees } = await develop(files, words, { PYTHONDONTWRITEBYTECODE: '' });
  for (const text of ['one', 'two', 'six']) {
    saveThen(folder, text);
    await sees(text);
  }
});

it('goes on although a module cannot be asked for its file', async () => {
  const { words, module, files } = SOURCES.python;
  const lazy = [
    'import sys',
    'class Lazy:',
    '    @property',
    '    def __dict__(self): raise ImportError("not installed")',
    'sys.modules["lazy"] = Lazy()',
  ].join('\n');
  const { save, sees } = await develop({ ...files, 'app.py': `${lazy}\n${files['app.py']}` }, words);
  await sees('first');
  save(module, say.python('second'));
  await sees('second');
});

it('outlives a source that becomes a link to itself', async () => {
  const { words, module, files } = SOURCES.javascript;
  const { folder, save, sees } = await develop(files, words);
  rmSync(join(folder, module));
  symlinkSync(module, join(folder, module));
  await sees('LIDO_IMPORT_FAILED');
  rmSync(join(folder, module));
  save(module, say.javascript('back'));
  await sees('back');
});

it('lets a request that runs finish on the old code', async () => {
  const hold = (version: number) => `
    import { existsSync } from 'node:fs';
    export async function application({ PATH_INFO: path }, startResponse) {
      while (path === '/hold' && !existsSync('released')) await new Promise((resolve) => setTimeout(resolve, 5));
      startResponse('200 OK', []);
      return ['version ${version}'];
    }`;
  const { save, sees, port } = await develop({ 'app.mjs': hold(1) }, ['app.mjs', '--concurrency', '2']);
  const client = new RawClient(port);
  client.send(get('/hold'));
  await sees('version 1');
  save('app.mjs', hold(2));
  await sees('version 2');
  save('released', '');
  expect((await client.readResponse()).body.toString()).toBe('version 1');
});

it('exchanges several processes at a save', async () => {
  const { words, module, files } = SOURCES.javascript;
  const { save, sees, url, waitFor } = await develop(files, [...words, '--processes', '2']);
  save(module, say.javascript('second'));
  await waitFor('changed: loaded anew');
  for (let count = 0; count < 10; count += 1)
    expect(await (await fetch(url, { headers: { Connection: 'close' } })).text()).toBe('second');
  save(module, BROKEN.javascript);
  await sees('broken');
  save(module, say.javascript('third'));
  await sees('third');
});

it('reads the config file and files of variables again', async () => {
  const files = {
    'app.mjs': `
      export function application(environ, startResponse) {
        startResponse('200 OK', []);
        return [\`\${process.env.GREETING} \${process.env.NAME}\`];
      }`,
    'lido.config.toml': 'application = "app.mjs"\nenvFile = [".env"]\nenv = ["GREETING=hello"]\n',
    '.env': 'NAME=world\n',
  };
  const { save, sees } = await develop(files, []);
  await sees('hello world');
  save('.env', 'NAME=moon\n');
  await sees('hello moon');
  save('lido.config.toml', `${files['lido.config.toml'].replace('hello', 'welcome')}`);
  await sees('welcome moon');
  save('lido.config.toml', 'application = "app.mjs"\nthread = 2\n');
  await sees('unknown setting thread; did you mean threads?');
  save('lido.config.toml', files['lido.config.toml']);
  await sees('hello moon');
});

it('counts templates by reloadExtra, and no packages', async () => {
  const application = `
    import { readFileSync } from 'node:fs';
    import { installed } from 'installed';
    import { linked } from 'linked';
    const text = readFileSync('templates/deep/page.html', 'utf8');
    export function application(environ, startResponse) {
      startResponse('200 OK', []);
      return [\`\${text} \${installed} \${linked}\`];
    }`;
  const manifest = (name: string) => `{ "name": "${name}", "type": "module", "exports": "./index.js" }`;
  const folder = makeFolder({
    'app.mjs': application,
    'templates/deep/page.html': 'page 1',
    'templates/deep/notes.txt': '',
    'node_modules/installed/package.json': manifest('installed'),
    'node_modules/installed/index.js': "export const installed = 'installed 1';",
    'packages/linked/package.json': manifest('linked'),
    'packages/linked/index.js': "export const linked = 'linked 1';",
  });
  symlinkSync('../packages/linked', join(folder, 'node_modules/linked'));
  const { url, stderr, waitFor } = await serveLido(
    ['--reload', '--reload-extra', 'templates/**/*.html', '--threads', '1', 'app.mjs'],
    { cwd: folder },
  );
  const sees = async (text: string) => {
    while ((await (await fetch(url, { headers: { Connection: 'close' } })).text()) !== text)
      await pause(ASK_EACH_MS);
  };
  await sees('page 1 installed 1 linked 1');
  save(folder, 'templates/deep/page.html', 'page 2');
  await sees('page 2 installed 1 linked 1');
  // These are seen in the order in which they were written, if they are.
  save(folder, 'templates/deep/notes.txt', 'more');
  save(folder, 'node_modules/installed/index.js', "export const installed = 'installed 2';");
  save(folder, 'packages/linked/index.js', "export const linked = 'linked 2';");
  await sees('page 2 installed 2 linked 2');
  await waitFor('packages/linked/index.js changed: ');
  expect(stderr().match(/\S+ changed: /g)).toEqual([
    'templates/deep/page.html changed: ',
    'packages/linked/index.js changed: ',
  ]);
});

describe('a page about what is broken', () => {
  const failure = new LidoError('LIDO_IMPORT_FAILED', ['app.py', 'CPython'], {
    traceback: 'the secret place',
  });

  async function show(settings = {}) {
    const { server, port } = await startServer({
      ...fixture('javascript', 'hello'),
      reload: true,
      ...settings,
    });
    server.showFailure(failure);
    return port;
  }

  const ask = (host: string, fields = '') => `GET / HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`;

  it.each(['localhost', 'localhost:8000', '127.0.0.1:8000', '[::1]:8000', 'shop.localhost'])(
    'has the traceback for whoever asks this machine for %s',
    async (host) => {
      const { status, body, headers } = await exchange(await show(), ask(host));
      expect([status, headers.connection]).toEqual([500, 'close']);
      expect(body.toString()).toContain('the secret place');
    },
  );

  it.each([
    ['by another name, which a page of any site may have point here', ask('evil.example')],
    ['by a name that only ends alike', ask('evillocalhost')],
    ['through a proxy', ask('localhost', 'X-Forwarded-For: 203.0.113.7\r\n')],
    ['through a proxy of the other kind', ask('localhost', 'Forwarded: for=203.0.113.7\r\n')],
  ])('has none for whoever asks %s', async (_how, request) => {
    const { status, body } = await exchange(await show(), request);
    expect(status).toBe(500);
    expect(body.toString()).toContain('Why is in the log');
    expect(body.toString()).not.toContain('the secret place');
  });

  it('has it for everybody with --debug', async () => {
    const { body } = await exchange(await show({ debug: true }), ask('shop.example'));
    expect(body.toString()).toContain('the secret place');
  });
});

it('needs a supervisor', async () => {
  const { code, stderr } = await runLido(['--reload', '--no-supervise', 'app.mjs'], {
    cwd: makeFolder(SOURCES.javascript.files),
  });
  expect([code, stderr]).toEqual([2, expect.stringContaining('reload contradicts supervise (--supervise)')]);
});

it('says in production what it is for, and of a pattern that nothing is there yet', async () => {
  const { waitFor } = await serveLido(['--reload', '--reload-extra', 'pages/**/*.html', 'app.mjs'], {
    cwd: makeFolder(SOURCES.javascript.files),
    env: { NODE_ENV: 'production' },
  });
  await waitFor('reloadExtra: pages/**/*.html: there is no such folder or file yet');
  await waitFor('--reload is for development');
});
