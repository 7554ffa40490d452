import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/**
 * Packages share one process (they hold no module state): 1 s for 50 files instead of 18. Apps and whole-system tests are isolated, in forks,
 * because a SIGKILL inside a worker thread would end the run. Most of their time they wait for processes: on two cores two files at once take half of the time
 * of one, which is what vitest would run there.
 */
export default defineConfig({
  test: {
    maxWorkers: Math.max(2, availableParallelism() - 1),
    reporters: ['default', './scripts/count-reporter.ts'],
    projects: [
      {
        test: {
          name: 'packages',
          include: ['packages/**/*.test.ts', 'scripts/**/*.test.ts'],
          isolate: false,
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: { name: 'apps', include: ['apps/**/*.test.ts'], pool: 'forks', testTimeout: 60_000, hookTimeout: 60_000 },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          pool: 'forks',
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
});
