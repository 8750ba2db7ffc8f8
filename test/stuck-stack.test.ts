// The log of a time-out shows where the thread of a JavaScript worker stood, and nothing waits for that.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeFolder } from './support/command.js';
import { load, untilWhole } from './support/load.js';
import { exchange, get, type RawResponse } from './support/raw-client.js';
import { type LogLine, type RunningServer, startServer } from './support/server.js';

const TOOK_LONGER = 'the application took longer than 0.3 s';
const STOOD_HERE = `${TOOK_LONGER}; its thread stood here`;
const NO_LOOK = 'V8 had no look at it within a second, so it is most likely in native code';
const IN_LIDOS_CALL = 'it loops in the very function that Lido called, which V8 does not show';
/** Node 20 has no way to look. */
const canLook = 'startCpuProfile' in Worker.prototype;

const body = `
const numbers = new Int32Array(new SharedArrayBuffer(4));

function match() {
  const text = 'a'.repeat(60) + 'b';
  return /^(a+)+$/.test(text); // matches here
}

function wait() {
  return Atomics.wait(numbers, 0, 0); // waits here
}

function spin() {
  for (let count = 0; ; count += 1); // spins here
}

function read(file) {
  return execFileSync('cat', [file]);
}

function application(environ, startResponse) {
  switch (environ.PATH_INFO) {
    case '/match': return [match()];
    case '/wait': return [wait()];
    case '/spin': return [spin()]; // calls it here
    case '/loop': for (;;); // loops here
    case '/read': return [read(environ.QUERY_STRING)];
    case '/read-and-exit': process.exit(read(environ.QUERY_STRING).length);
    case '/never': return new Promise(() => {});
  }
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['hello'];
}
`;
const module = `import { execFileSync } from 'node:child_process';\n${body}\nexport { application };\n`;
const sources = {
  'stuck.mjs': module,
  'stuck.cjs': `const { execFileSync } = require('node:child_process');\n${body}\nmodule.exports = { application };\n`,
  'stuck.ts': `interface Unused {\n  readonly name: string;\n}\n${module.replace('match()', 'match(): boolean')}`,
  'stripped.mjs': "export { application } from './stuck.mts';\n",
  'stuck.mts': `interface Unused {\n  readonly name: string;\n}\n${module.replace('match()', 'match(): boolean')}`,
};

interface Stuck extends RunningServer {
  readonly folder: string;
  /** `stuck.mjs:12` for the line of that file which has this text. */
  place(text: string, file?: keyof typeof sources): string;
}

async function serve(settings = {}, file: keyof typeof sources = 'stuck.mjs'): Promise<Stuck> {
  const folder = makeFolder(sources);
  const running = await startServer({ application: `${folder}/${file}`, timeout: 0.3, ...settings });
  const place = (text: string, name = file) =>
    `${name}:${sources[name].slice(0, sources[name].indexOf(text)).split('\n').length}`;
  return { ...running, folder, place };
}

const isPlace = ({ msg }: LogLine) => msg.startsWith(`${TOOK_LONGER}; `);

/** The rows without the names of folders, which jiti writes otherwise than Node. */
function shorten({ msg, traceback }: LogLine, folder: string): readonly [string, string | undefined] {
  return [msg, traceback?.replaceAll(`${pathToFileURL(folder)}/`, '').replaceAll(`${folder}/`, '')];
}

/** What the log says of the place: the traceback where Node can look, or else that it cannot. */
function said(traceback: string): readonly [string, string | undefined] {
  if (canLook) return [STOOD_HERE, traceback];
  return [
    `${TOOK_LONGER}; where it stood is not known: Node.js ${process.versions.node} cannot tell`,
    undefined,
  ];
}

function notKnown(reason: string): string {
  const why = canLook ? reason : `Node.js ${process.versions.node} cannot tell`;
  return `${TOOK_LONGER}; where it stood is not known: ${why}`;
}

/** Who reads from it is in native code until it is written to. */
function makeFifo(folder: string) {
  const path = `${folder}/fifo`;
  execFileSync('mkfifo', [path]);
  // 'r+' does not wait for a reader, who may be gone.
  return { path, write: () => writeFileSync(path, 'released', { flag: 'r+' }) };
}

// A machine whose processors are all busy for a second gives V8 no look: then once more.
describe('the log of a time-out', { retry: 5 }, () => {
  const strips = (process.features as { typescript?: unknown }).typescript === 'strip';
  const files = ['stuck.mjs', 'stuck.cjs', 'stuck.ts', ...(strips ? ['stripped.mjs' as const] : [])] as const;

  it.each(files)('shows the line of a match that backtracks, in %s', async (file) => {
    const { port, folder, findLine, place } = await serve({}, file);
    expect((await exchange(port, get('/match'))).status).toBe(504);
    const name = file === 'stripped.mjs' ? 'stuck.mts' : file;
    const rows = [
      `    at match (${place('return /^(a+)', name)})`,
      `    in application (${place('function application', name)})`,
    ];
    expect(shorten(await findLine(isPlace), folder)).toEqual(said(rows.join('\n')));
  });

  it('shows the line of a wait on shared memory', async () => {
    const { port, folder, findLine, place } = await serve();
    expect((await exchange(port, get('/wait'))).status).toBe(504);
    const rows = [
      `    at wait (${place('waits here')})`,
      `    in application (${place('function application')})`,
    ];
    expect(shorten(await findLine(isPlace), folder)).toEqual(said(rows.join('\n')));
  });

  it('shows the line of a loop, or of the call where V8 has optimized the loop', async () => {
    const { port, folder, findLine, place } = await serve();
    expect((await exchange(port, get('/spin'))).status).toBe(504);
    const [msg, traceback = ''] = shorten(await findLine(isPlace), folder);
    expect(msg).toBe(said('')[0]);
    if (!canLook) return;
    const call = `    at application (${place('calls it here')})`;
    const loop = `    at spin (${place('spins here')})\n    in application (${place('function application')})`;
    expect([call, loop]).toContain(traceback);
  });

  it('says so where the loop is in the function that Lido calls', async () => {
    const { port, folder, findLine, place } = await serve();
    expect((await exchange(port, get('/loop'))).status).toBe(504);
    const found = shorten(await findLine(isPlace), folder);
    const loop = `    at application (${place('loops here')})`;
    expect([[notKnown(IN_LIDOS_CALL), undefined], said(loop)]).toContainEqual(found);
  });

  it('says that an application waits which is asynchronous', async () => {
    const { port, findLine } = await serve({ concurrency: 4 });
    expect((await exchange(port, get('/never'))).status).toBe(504);
    expect((await findLine(isPlace)).msg).toBe(notKnown('its thread is idle, so it waits for something'));
  });

  it('has the place once for all requests that ran in that thread', async () => {
    const { port, lines, findLine } = await serve({ concurrency: 4 });
    const paths = ['/never', '/never', '/match'];
    const stuck = paths.map((path) => exchange(port, get(path)));
    for (const { status } of await Promise.all(stuck)) expect(status).toBe(504);
    expect((await findLine(isPlace)).msg).toBe(said('')[0]);
    expect(lines.filter(({ code }) => code === 'LIDO_TIMED_OUT').length).toBe(paths.length + 1);
    expect((await exchange(port, get('/'))).body.toString()).toBe('hello');
  });
});

describe('a thread that is stuck', () => {
  it('in native code keeps nobody waiting, and the log says so', async () => {
    const { port, folder, findLine, lines } = await serve();
    const fifo = makeFifo(folder);
    onTestFinished(fifo.write);
    const stuck = exchange(port, get(`/read?${fifo.path}`));
    const behind = Array.from({ length: 10 }, () => exchange(port, get('/')));
    expect((await stuck).status).toBe(504);
    for (const answer of await Promise.all(behind)) expect(answer.body.toString()).toBe('hello');
    const { msg } = await findLine(isPlace);
    expect(msg).toBe(notKnown(NO_LOOK));
    expect(lines.filter(isPlace).length).toBe(1);
  });

  it('beside another one is looked at and ended as that is', async () => {
    const running = await serve({ threads: 2 });
    for (let round = 1; round <= 3; round += 1) {
      const answers = await Promise.all(['/match', '/spin'].map((path) => exchange(running.port, get(path))));
      expect(answers.map(({ status }: RawResponse) => status)).toEqual([504, 504]);
      await running.findLine(() => running.lines.filter(isPlace).length === 2 * round);
      await untilWhole(running);
    }
    // On a busy machine V8 may have had no look.
    for (const { msg } of running.lines.filter(isPlace))
      expect([said('')[0], notKnown(NO_LOOK)]).toContain(msg);
  });

  it('and ends by itself meanwhile is replaced once', async () => {
    const running = await serve({ threads: 2 });
    const fifo = makeFifo(running.folder);
    const others = load(running.port);
    expect((await exchange(running.port, get(`/read-and-exit?${fifo.path}`))).status).toBe(504);
    fifo.write();
    await running.findLine(isPlace);
    expect(await others.stop()).toBeGreaterThan(3);
    await untilWhole(running);
    expect(running.lines.filter(({ code }) => code === 'LIDO_WORKER_DIED')).toEqual([]);
  });

  it('holds up no server that closes', async () => {
    const { port, server } = await serve();
    expect((await exchange(port, get('/spin'))).status).toBe(504);
    await server.close();
  });
});
