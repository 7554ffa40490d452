import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { EMBEDDED_ONLY, OF_NO_FORM } from './test/embedded-only.ts';

/** `expect.poll` waits for what something outside makes true, on a machine that has others to serve: its own second is of a quiet one. */
const PATIENT = { poll: { timeout: 30_000 } };
const QUERIES = ['deployments', 'internal', 'organizations', 'pages', 'sweeper'];

/** What stands on a store, again on the other engine. Left out where that is not installed; in CI it must be. */
function onPostgres() {
  if (process.env.CI !== 'true' && globSync('/usr/lib/postgresql/*/bin/initdb').length === 0) return [];
  const test = {
    name: 'postgres',
    // Where the queries differ most; with CUPOLA_TEST_ALL=1 all of them, which takes five times as long.
    include: [
      process.env.CUPOLA_TEST_ALL === '1' ? 'apps/api/**/*.test.ts' : `apps/api/src/{${QUERIES.join()}}/**/*.test.ts`,
      'apps/scheduler/**/*.test.ts',
      'packages/queue/src/embedded.test.ts',
    ],
    env: { CUPOLA_TEST_STORE: 'postgres' },
    globalSetup: 'test/postgres-setup.ts',
    isolate: false,
    pool: 'forks' as const,
    expect: PATIENT,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  };
  return [{ test }];
}

/** Whole-system tests once more, on the cluster form: those that tell most of what differs; with CUPOLA_TEST_ALL=1 all but those that have a reason. */
function onCluster() {
  const test = {
    name: 'cluster',
    include: process.env.CUPOLA_TEST_ALL === '1' ? ['test/**/*.test.ts'] : ['test/{heal,line}.test.ts'],
    exclude: [...Object.keys(EMBEDDED_ONLY), ...OF_NO_FORM],
    env: { CUPOLA_TEST_FORM: 'cluster' },
    globalSetup: 'test/s3-setup.ts',
    // Behind all others: first, as they came, both workers waited for the S3 server to be built.
    sequence: { groupOrder: 1 },
    pool: 'forks' as const,
    expect: PATIENT,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  };
  return { test };
}

/**
 * Packages and apps share a process for each worker (their modules hold no state): 155 s of CPU for the API's 112 files instead of 286. Whole-system tests are
 * isolated. All in forks, because a SIGKILL inside a worker thread would end the run. Most of their time they wait for processes, but three
 * files at once took twice as long on two cores as two: each has a platform of many processes. Nor do the others fit beside two of them: as two runs of
 * vitest, of two files and of one, all took 1,400 s and more instead of 1,100.
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
          exclude: ['**/s3.test.ts'],
          isolate: false,
          pool: 'forks',
          expect: PATIENT,
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        test: {
          name: 'apps',
          isolate: false,
          include: ['apps/**/*.test.ts'],
          exclude: ['**/s3.test.ts'],
          pool: 'forks',
          expect: PATIENT,
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        test: {
          name: 's3',
          include: ['{apps,packages,test}/**/s3.test.ts'],
          globalSetup: 'test/s3-setup.ts',
          pool: 'forks',
          expect: PATIENT,
          testTimeout: 240_000,
          // Their server may still be built.
          hookTimeout: 600_000,
        },
      },
      ...onPostgres(),
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: ['**/s3.test.ts'],
          globalSetup: 'test/s3-setup.ts',
          pool: 'forks',
          expect: PATIENT,
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      onCluster(),
    ],
  },
});
