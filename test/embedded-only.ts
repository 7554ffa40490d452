/**
 * The only whole-system tests that are not run against the cluster form as well, each with the reason. All others of test/ take either form (test/platform.ts).
 */
export const EMBEDDED_ONLY: Record<string, string> = {
  'test/backup.test.ts': 'the backup of one data folder; a cluster is backed up by that of its PostgreSQL and S3',
  'test/command.test.ts': 'the commands up, down, restart and doctor of one machine',
  'test/disk-full.test.ts':
    'the one disk that packages, droplets and instances share; a cluster has its packages on S3',
  'test/postgres.test.ts': 'the move of one machine to PostgreSQL and back; a cluster stands on it',
  'test/redis.test.ts': 'one machine on Redis; test/processes.test.ts asks the same of a cluster',
  'test/s3.test.ts': 'the move of one machine to S3 and back; a cluster stands on it',
  'test/stack.test.ts': 'a stack is added to one machine; those of members: apps/control/src/commands/stack.test.ts',
};

/** They make clusters of their own, or no platform at all. */
export const OF_NO_FORM: readonly string[] = [
  'test/cluster.test.ts',
  'test/compose.test.ts',
  'test/docker-cell.test.ts',
  'test/processes.test.ts',
  'test/programs.test.ts',
];
