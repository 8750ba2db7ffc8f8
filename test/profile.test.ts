// `lido profile`: where the time of a worker goes, as a file for speedscope or Chrome.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { makeFolder, runLido } from './support/command.js';
import { load } from './support/load.js';
import { startServer, venv } from './support/server.js';

const sources = {
  py: `
def burn(count):
    total = 0
    for number in range(count):
        total += number * number
    return total

def application(environ, start_response):
    burn(200_000)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']
`,
  mjs: `
function burn(count) {
  let total = 0;
  for (let number = 0; number < count; number += 1) total += Math.sqrt(number);
  return total;
}

export function application(environ, startResponse) {
  burn(5_000_000);
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['hello'];
}
`,
};

/** A server that computes until the test is over. */
async function serveBusy(language: keyof typeof sources) {
  const name = `burns.${language}`;
  const folder = makeFolder({ [name]: sources[language] });
  const admin = `unix:${folder}/admin`;
  const { port } = await startServer({
    application: `${folder}/${name}`,
    python: venv,
    threads: 2,
    admin: [admin],
  } as never);
  const busy = load(port);
  const profile = (...words: string[]) =>
    runLido(['profile', '--admin', admin, '--seconds', '1', ...words], { cwd: folder });
  return { folder, file: `${folder}/${name}`, profile, stop: () => busy.stop() };
}

interface Speedscope {
  readonly shared: { readonly frames: readonly { name: string; file?: string; line?: number }[] };
  readonly profiles: readonly {
    readonly type: string;
    readonly name: string;
    readonly endValue: number;
    readonly samples: readonly (readonly number[])[];
    readonly weights: readonly number[];
  }[];
}

it('profiles Python by time and by time of the processor, for speedscope', async () => {
  const { folder, file, profile, stop } = await serveBusy('py');
  const { code, stdout } = await profile();
  await stop();
  expect(code).toBe(0);
  const [written = ''] = readdirSync(folder).filter((name) => name.endsWith('.speedscope.json'));
  expect(written).toMatch(/^lido-\d+-\d+T\d+\.speedscope\.json$/);
  expect(stdout).toContain(`${written}: open it at https://www.speedscope.app`);
  const { shared, profiles } = JSON.parse(readFileSync(`${folder}/${written}`, 'utf8')) as Speedscope;
  expect(profiles.map(({ name }) => name.replace(file, 'burns.py')).sort()).toEqual([
    'worker 1 of burns.py',
    'worker 1 of burns.py, processor time',
    'worker 2 of burns.py',
    'worker 2 of burns.py, processor time',
  ]);
  const inner = profiles.flatMap(({ samples, weights }) =>
    samples.map((stack, index) => ({
      frame: shared.frames[stack.at(-1) as number],
      weight: weights[index] ?? 0,
    })),
  );
  const burnt = inner.filter(({ frame }) => frame?.name === 'burn' && frame.file === file);
  expect(burnt.reduce((sum, { weight }) => sum + weight, 0)).toBeGreaterThan(0);
  for (const { samples, weights, endValue } of profiles) {
    expect(samples.length).toBe(weights.length);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBe(endValue);
  }
  expect(shared.frames.some(({ file: each = '' }) => each.endsWith('gateway.py'))).toBe(false);
});

it('profiles JavaScript by V8, for Chrome', async () => {
  const { folder, file, profile, stop } = await serveBusy('mjs');
  const output = `${folder}/mine.cpuprofile`;
  expect(await profile('--output', output)).toMatchObject({ code: 0, stderr: '' });
  await stop();
  const { nodes, samples, timeDeltas, startTime, endTime } = JSON.parse(readFileSync(output, 'utf8')) as {
    nodes: { id: number; callFrame: { functionName: string; url: string }; hitCount: number }[];
    samples: number[];
    timeDeltas: number[];
    startTime: number;
    endTime: number;
  };
  // What V8 has put into the function that calls it counts for that.
  const own = nodes.filter(({ callFrame }) => callFrame.url === `file://${file}`);
  expect(own.reduce((sum, { hitCount }) => sum + hitCount, 0)).toBeGreaterThan(0);
  expect(samples.length).toBe(timeDeltas.length);
  expect(endTime - startTime).toBeGreaterThan(500_000);
});

it('takes one at a time, of a worker that there is', async () => {
  const { profile, stop } = await serveBusy('mjs');
  const answers = await Promise.all([profile('--seconds', '4'), profile('--seconds', '4')]);
  expect(answers.map(({ code }) => code).sort()).toEqual([0, 1]);
  expect(answers.map(({ stderr }) => stderr).join('')).toContain(
    'LIDO_NOT_PROFILED no profile was taken: a profile is being taken: one at a time',
  );
  expect((await profile('--worker', '7')).stderr).toContain('no profile was taken: there is no such worker');
  expect((await profile('--process', '7')).stderr).toContain('no process answers that is meant');
  expect((await profile('--seconds', '1000')).stderr).toContain('at most 120');
  await stop();
});
