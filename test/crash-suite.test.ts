// The scenarios of `npm run crash-suite`, once each, on the Python of .venv. docs/crash-suite.md has what they found on others.
import { describe, expect, it } from 'vitest';
import { root, venv } from './support/server.js';

interface Way {
  readonly python: string;
  readonly interpreter: 'shared' | 'isolated';
}

interface CrashSuite {
  readonly scenarios: readonly (readonly [name: string, run: (way: Way) => Promise<string | undefined>])[];
  repeatCalls(way: Way, calls: number): Promise<string>;
}

const { scenarios, repeatCalls } = (await import(`${root}test/crash/scenarios.mjs`)) as CrashSuite;
const way: Way = { python: `${venv}/bin/python`, interpreter: 'shared' };

describe.concurrent('a server with Python in its threads goes on, or ends as it is told to:', () => {
  it.each(scenarios)('%s', async (_name, run) => {
    expect(await run(way)).toBeOneOf([undefined, 'refused']);
  });

  it('2000 calls', async () => {
    expect(await repeatCalls(way, 2000)).toMatch(/ MB$/);
  });
});
