/** What a sandbox is said to be once its shim has been killed: with stand-ins for the processes, since bubblewrap's own end is not in our hands. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pidsWith, tempFolder, until } from './fixtures.ts';
import { allRungs } from './rungs.ts';
import { running } from './running.ts';

const startOf = (pid: number): string =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')[19] ?? '';

test('ended waits for pid 1 of the app below a bubblewrap that is gone already, and ends it', async () => {
  using folder = tempFolder();
  const rung = allRungs().find(({ name }) => name === 'bwrap');
  if (rung === undefined) throw new Error('no such rung');
  const tool = join(folder.path, 'bwrap');
  copyFileSync('/bin/sh', tool);
  const marker = randomUUID();
  // Nothing ties the inner one to the outer one: it lives for as long as the kernel would take to end it, and longer.
  const inner = `${tool} -c 'perl -e "sleep 1000" ${marker}; :'`;
  const outer = spawn(tool, ['-c', `${inner} & wait`], { stdio: 'ignore' });
  const childPid = outer.pid ?? 0;
  await until('both run, and the app', () => pidsWith(marker).length === 3);
  const state = { shimPid: 0, childPid, childStart: startOf(childPid), boot: '', startedMs: 0 };
  // There is no `alive` in the folder: its shim has ended.
  const sandbox = running({ rung, folder: folder.path, guid: 'killed', cgroup: null, state });
  outer.kill('SIGKILL');
  expect(await sandbox.ended).toMatchObject({ lost: true });
  expect(pidsWith(marker)).toEqual([]);
});
