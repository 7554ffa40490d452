/** Client libraries that were written for Cloud Foundry, each driving a whole platform by a program of its own. They need the API's address alone. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Platform, ROOT, startPlatform } from '../platform.ts';

const run = promisify(execFile);
const EXAMPLE = join(ROOT, 'examples', 'node-hello');
/** Their newest when this was written: what they ask for is what is judged. */
const PYTHON_CLIENT = 'cloudfoundry-client==1.40.4';
const hasTool = (name: string): boolean => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;

let platform: Platform;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-clients-'));
  platform = await startPlatform();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** What each judge is told: where, who, and what to push. */
function facts(): string[] {
  const password = readFileSync(join(platform.data, 'admin-password'), 'utf8').trim();
  return [platform.facts.api, 'admin', password, EXAMPLE];
}

describe('client libraries', () => {
  test.skipIf(!hasTool('pip3'))('cloudfoundry-client (PyPI) pushes, binds, runs a task, lists, deletes', async () => {
    const target = join(folder, 'python');
    await run('pip3', ['install', '--quiet', '--disable-pip-version-check', '--target', target, PYTHON_CLIENT]);
    const judge = join(import.meta.dirname, 'judge.py');
    const { stdout } = await run('python3', [judge, ...facts()], { env: { ...process.env, PYTHONPATH: target } });
    expect(stdout.trim().split('\n').at(-1)).toBe('deleted');
  });
});
