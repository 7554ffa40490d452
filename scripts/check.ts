/** `npm run check`: format, lint, types, arrows, lock file, dead code. Each is one tool, all are run even when one fails. */
import { spawnSync } from 'node:child_process';

const steps: Array<[name: string, argv: string[]]> = [
  ['biome', ['node_modules/.bin/biome', 'check', '--error-on-warnings']],
  ['tsc', ['node_modules/.bin/tsc', '-p', '.']],
  ['tsc model', ['node_modules/.bin/tsc', '-p', 'packages/model']],
  ['tsc dashboard', ['node_modules/.bin/tsc', '-p', 'apps/dashboard']],
  ['arrows', [process.execPath, 'scripts/arrows.ts']],
  ['lock', [process.execPath, 'scripts/lock.ts']],
  ['knip', ['node_modules/.bin/knip']],
];
const failed = steps.filter(([name, [command = '', ...args]]) => {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name}`);
  return status !== 0;
});
process.exitCode = failed.length > 0 ? 1 : 0;
