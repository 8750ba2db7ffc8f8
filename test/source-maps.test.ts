// Node.js reads source maps where it is told to, as whoever writes applications in TypeScript does: Lido's own has them too.
import { expect, it } from 'vitest';
import { makeFolder, serveLido } from './support/command.js';

const RAISES = `function fails() { throw new Error('as it should'); }
export function application() { fails(); }
`;

it('leave tracebacks to the application: no frame of Lido is in them', async () => {
  const cwd = makeFolder({ 'raises.mjs': RAISES });
  const server = await serveLido(['raises.mjs'], { cwd, env: { NODE_OPTIONS: '--enable-source-maps' } });
  expect((await fetch(server.url)).status).toBe(500);
  await server.waitFor('as it should\n    Error: as it should\n');
  const frames = [...server.stderr().matchAll(/^ +at (?!.*\bnode:)(.*)$/gm)].map(([, frame]) => frame);
  expect(frames).toEqual([
    expect.stringContaining(`${cwd}/raises.mjs:1:`),
    expect.stringContaining(`${cwd}/raises.mjs:2:`),
  ]);
});
