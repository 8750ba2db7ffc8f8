import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/check-setup.ts',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // On a machine that is busy a second is nothing.
    expect: { poll: { timeout: 10_000 } },
    // A process holds one CPython, and worker threads cannot hold a second one beside it.
    pool: 'forks',
    maxWorkers: 2,
  },
});
