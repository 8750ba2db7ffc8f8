// What Python applications see of the worker threads that share one interpreter.
import { describe, expect, it } from 'vitest';
import { type RunningServer, root, startServer, venv } from './support/server.js';

function serve(name: string, threads = 1): Promise<RunningServer> {
  return startServer({ application: `${root}test/apps/threads.py:${name}`, python: venv, threads });
}

describe('requests that wait', () => {
  it('run at the same time, as many as there are threads, however many are queued', async () => {
    const { url } = await serve('meets_three_others', 4);
    const answers = await Promise.all(
      Array.from({ length: 24 }, async () => {
        const response = await fetch(url);
        return [response.status, await response.text()] as const;
      }),
    );
    expect(answers.map(([status]) => status)).toEqual(Array(24).fill(200));
    expect(new Set(answers.map(([, thread]) => thread)).size).toBe(4);
  });
});
