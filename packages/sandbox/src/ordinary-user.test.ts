/** The sandbox contract once more as somebody without rights: the same tests, run by another uid, on what it can reach. */
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from './fixtures.ts';

const UID = 65_533;
const CHECKOUT = join(import.meta.dirname, '../../..');

interface Results {
  success: boolean;
  numFailedTests: number;
  testResults: Array<{ assertionResults: Array<{ fullName: string; status: string; failureMessages: string[] }> }>;
}

/** Checkout and Node may lie where only root gets through, so they are shown at another place, in a mount namespace of this run. */
function runAsUser(file: string): Results {
  using folder = tempFolder();
  const place = (name: string): string => join(folder.path, name);
  for (const name of ['checkout', 'node', 'home']) mkdirSync(place(name));
  chownSync(place('home'), UID, UID);
  const show = `mount --bind ${CHECKOUT} ${place('checkout')} && mount --bind ${dirname(process.execPath)} ${place('node')}`;
  const vitest = ['node_modules/.bin/vitest', 'run', '--configLoader', 'runner', '--reporter', 'json', file];
  const results = join(place('home'), 'results.json');
  const ran = spawnSync(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', 'sh', '-c', `${show} && cd ${place('checkout')} && exec "$@"`, 'sh'],
      ...['setpriv', '--reuid', String(UID), '--regid', String(UID), '--clear-groups', join(place('node'), 'node')],
      ...vitest,
      `--outputFile=${results}`,
    ],
    {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      env: {
        PATH: `${place('node')}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
        HOME: place('home'),
        TMPDIR: '/tmp',
      },
    },
  );
  if (!existsSync(results)) throw new Error(`no results: ${ran.stdout}${ran.stderr}`);
  return JSON.parse(readFileSync(results, 'utf8')) as Results;
}

test.runIf(process.getuid?.() === 0)(
  'the sandbox contract holds for an ordinary user, on bubblewrap and on namespaces of our own',
  () => {
    const results = runAsUser('packages/sandbox/src/sandbox.test.ts');
    const all = results.testResults.flatMap(({ assertionResults }) => assertionResults);
    expect(
      all
        .filter(({ status }) => status === 'failed')
        .map(({ fullName, failureMessages }) => [fullName, failureMessages]),
    ).toEqual([]);
    const rungs = new Set(
      all.filter(({ status }) => status === 'passed').map(({ fullName }) => /^Sandboxes on (\S+)/.exec(fullName)?.[1]),
    );
    expect([...rungs]).toEqual(expect.arrayContaining(['bwrap', 'util-linux', 'process']));
    expect(results.success).toBe(true);
  },
  180_000,
);
