import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LidoError } from '../../../dist/src/contract/errors.js';
import { createCommand } from '../../../dist/src/server/cli-command.js';
import {
  readEnvironment,
  resolveSettings,
  resolveUserSettings,
  type Source,
} from '../../../dist/src/settings/resolve.js';
import { buildSchema, buildSettingsPage } from '../../../dist/src/settings/schema.js';
import {
  flagOf,
  settingNames,
  settings,
  type UserSettings,
  variableOf,
} from '../../../dist/src/settings/table.js';

function fileSource(values: Record<string, unknown>): Source {
  return {
    origin: 'file',
    values,
    placeOf: (key) => `lido.config.json:${Object.keys(values).indexOf(key) + 1}`,
  };
}

function flagSource(values: Record<string, unknown>): Source {
  return { origin: 'flag', values, placeOf: (key) => `--${key}` };
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(LidoError);
    return (error as LidoError).message;
  }
  throw new Error('nothing was thrown');
}

describe('settings from several sources', () => {
  it('prefer the flag, then the variable, then the file, then the default, and say which it was', () => {
    const { settings: values, origins } = resolveSettings([
      flagSource({ threads: '1' }),
      readEnvironment({ LIDO_THREADS: '2', LIDO_TIMEOUT: '2' }),
      fileSource({ threads: 3, timeout: 3, keepalive: 3 }),
    ]);
    expect([values.threads, values.timeout, values.keepalive, values.backlog]).toEqual([1, 2, 3, 2048]);
    expect([origins.threads, origins.timeout, origins.keepalive, origins.backlog]).toEqual([
      '--threads',
      'LIDO_TIMEOUT',
      'lido.config.json:3',
      'default',
    ]);
  });

  it('are frozen, lists too', () => {
    const values = resolveUserSettings({ bind: ['127.0.0.1:0'] });
    expect(Object.isFrozen(values)).toBe(true);
    expect(Object.isFrozen(values.bind)).toBe(true);
  });

  it('report every mistake at once, each with its place, what is allowed and the nearest name', () => {
    const sources = [
      flagSource({ logFormat: 'txt' }),
      readEnvironment({ LIDO_TIMEOUT: 'soon', LIDO_THREDS: '3' }),
      fileSource({
        bnd: ':80',
        graceful_timeout: 3,
        threads: 0,
        debug: 'yes',
        max_requests: 5,
        concurrency: '2',
      }),
    ];
    expect(messageOf(() => resolveSettings(sources))).toBe(`settings: 9 mistakes
  - --logFormat: takes text, json, not "txt"; did you mean text?
  - LIDO_TIMEOUT: takes a number of seconds, 0 or more, not "soon"
  - LIDO_THREDS: unknown variable; did you mean LIDO_THREADS?
  - lido.config.json:1: unknown setting bnd; did you mean bind?
  - lido.config.json:2: unknown setting graceful_timeout; did you mean gracefulTimeout?
  - lido.config.json:3: threads takes a whole number, 1 or more, not 0
  - lido.config.json:4: debug takes true or false, not "yes"
  - lido.config.json:5: unknown setting max_requests; did you mean maxRequests?
  - lido.config.json:6: concurrency takes a whole number, from 1 to 16384, not "2"`);
  });

  it.each([
    ['warning', 'warn'],
    ['critical', 'fatal'],
  ])('name the level that another server calls %s', (theirs, own) => {
    expect(messageOf(() => resolveSettings([flagSource({ logLevel: theirs })]))).toContain(
      `not "${theirs}"; did you mean ${own}?`,
    );
  });

  it('report contradictions with the places of both sides', () => {
    const sources = [
      flagSource({ runtime: 'javascript' }),
      fileSource({ python: '.venv', bind: [':80', ':80', ':0', ':0'] }),
    ];
    expect(messageOf(() => resolveSettings(sources))).toBe(`settings: 2 mistakes
  - lido.config.json:1: python contradicts runtime (--runtime): a JavaScript application has no Python
  - lido.config.json:2: bind names :80 twice`);
  });

  it.each([
    ['workers', 'processes'],
    ['wsgi_app', 'application'],
    ['harakiri', 'timeout'],
    ['loglevel', 'logLevel'],
    ['limit_request_field_size', 'limitRequestFieldSize'],
    ['raw_env', 'env'],
    ['w', 'processes'],
    ['limit-post', 'maxBodySize'],
    ['listen', 'socketBacklog'],
  ])('answer %s, as others call it, with %s', (key, name) => {
    expect(messageOf(() => resolveSettings([fileSource({ [key]: 1 })]))).toContain(
      `lido.config.json:1: unknown setting ${key}; did you mean ${name}?`,
    );
  });

  it.each([
    ['timeout', 2_147_484],
    ['threads', 1.5],
    ['threads', Number.NaN],
    ['bind', ['1::2::3']],
    ['bind', ''],
    ['bind', []],
    ['bind', 8000],
    ['application', ':app'],
    ['application', 'a.js:create_app('],
    ['application', 'a.js:1 + 1'],
    ['application', 'a.js:site..app'],
    ['env', ['KEY']],
    ['pythonpath', [1]],
    ['application', ''],
    ['runtime', 'pyodide'],
    ['debug', 1],
    ['toString', 1],
    ['__proto__x', 1],
  ])('refuse %s: %j', (key, value) => {
    expect(messageOf(() => resolveSettings([fileSource({ [key]: value })]))).toContain(
      'lido.config.json:1: ',
    );
  });
});

describe('the environment', () => {
  it("answers another server's name for a setting, and leaves a LIDO_HOME alone", () => {
    const source = readEnvironment({ LIDO_WORKERS: '2', LIDO_HOME: '/opt/lido', LIDO_COLOUR: 'blue' });
    expect(messageOf(() => resolveSettings([source]))).toBe(
      'LIDO_WORKERS: unknown variable; did you mean LIDO_PROCESSES? (each with an acceptor and worker threads of its own; for JavaScript and free-threaded Python one process serves all cores)',
    );
  });

  it('listens nowhere for nobody: an empty LIDO_BIND is refused', () => {
    expect(messageOf(() => resolveSettings([readEnvironment({ LIDO_BIND: '' })]))).toContain(
      'LIDO_BIND: takes HOST:PORT',
    );
  });

  it('parts lists', () => {
    const { settings: values } = resolveSettings([
      readEnvironment({ LIDO_BIND: ':1,unix:/x', LIDO_PYTHONPATH: 'a:b', LIDO_ENV: 'A=1,2,B=3' }),
    ]);
    expect(values.bind).toEqual([':1', 'unix:/x']);
    expect(values.pythonpath).toEqual(['a', 'b']);
    expect(values.env).toEqual(['A=1,2', 'B=3']);
  });

  it('leaves alone what Kubernetes sets for a service that is called lido', () => {
    const variables = {
      LIDO_PORT: 'tcp://10.0.0.1:80',
      LIDO_SERVICE_HOST: '10.0.0.1',
      LIDO_PORT_80_TCP_PROTO: 'tcp',
    };
    expect(readEnvironment(variables).values).toEqual({});
  });

  it('reads switches', () => {
    const read = (text: string) => resolveSettings([readEnvironment({ LIDO_DEBUG: text })]).settings.debug;
    expect(['1', 'true', '0', 'false'].map(read)).toEqual([true, true, false, false]);
  });
});

describe('what derives from the table of settings', () => {
  const help = createCommand().helpInformation();

  it('is in --help, and nothing else is', () => {
    const flags = [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag).sort();
    const expected = settingNames.filter((name) => name !== 'application').map(flagOf);
    expect(flags).toEqual([...expected, '--config', '--help', '--version'].sort());
    for (const name of settingNames) expect(help).toContain(`[${variableOf(name)}]`);
  });

  it('is on the settings page, and nothing else is: npm run docs', () => {
    expect(readFileSync('docs/settings.md', 'utf8')).toBe(buildSettingsPage());
    const rows = [...buildSettingsPage().matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
    expect(rows.sort()).toEqual([...settingNames].sort());
  });

  it('is in the schema, and nothing else is: npm run docs', () => {
    const written = JSON.parse(readFileSync('schema/lido.config.schema.json', 'utf8'));
    expect(written).toEqual(buildSchema());
    expect(Object.keys(written.properties).sort()).toEqual(['$schema', ...settingNames].sort());
  });

  it('has the defaults that the checks allow', () => {
    const given = settingNames.filter((name) => settings[name].default !== null);
    const defaults = Object.fromEntries(given.map((name) => [name, settings[name].default]));
    expect(resolveUserSettings(defaults as UserSettings)).toMatchObject(defaults);
  });
});

describe('types', () => {
  it('refuse a wrong setting', () => {
    // @ts-expect-error a number is wanted
    expect(() => resolveUserSettings({ threads: 'x' })).toThrow('option threads');
    // @ts-expect-error no such setting
    expect(() => resolveUserSettings({ thread: 1 })).toThrow('did you mean threads?');
    // @ts-expect-error no such choice
    expect(() => resolveUserSettings({ runtime: 'ruby' })).toThrow('auto, javascript, cpython');
  });
});
