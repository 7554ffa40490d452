import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readStacks, writeStacks } from '@cupola/images/rootfs/installed-stacks';
import { anApp } from '@cupola/store/fixtures';
import { openSqliteStore } from '@cupola/store/sqlite';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { backup, restore } from './commands/backup.ts';
import { makeFolders, resolveConfig, stacksFolder, writeConfig } from './platform-config.ts';

const STACK = {
  ...{ name: 'debian', folder: 'debian.0123', digest: '0123', abiKey: 'x64-debian-13', description: 'Debian 13' },
  source: 'registry.example.com/debian:13',
};

let work: string;
let said: string[];
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'cupola-backup-'));
  said = [];
  vi.spyOn(console, 'log').mockImplementation(text => void said.push(String(text)));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(work, { recursive: true, force: true });
});

const at = (name: string): string => join(work, name);

/** A data folder as a platform that has stopped leaves it, with one app on an added stack. */
async function aDataFolder(): Promise<string> {
  const data = at('data');
  makeFolders(data);
  mkdirSync(join(data, 'state/blobs'));
  writeConfig(data, resolveConfig(data, {}));
  const root = join(stacksFolder(data), STACK.folder);
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  writeFileSync(join(root, 'usr/bin/hello'), '#!/bin/sh\n', { mode: 0o755 });
  writeStacks(stacksFolder(data), [STACK]);
  const store = await openSqliteStore({ path: join(data, 'state/store.db') });
  await anApp(store, { stack: STACK.name });
  await store.close();
  return data;
}

test('a backup leaves added stacks out, and restore names each with the command that brings it', async () => {
  await backup(at('file'), { data: await aDataFolder() });
  expect(said.join('\n')).toMatch(/Not in it.*: debian\. .*--with-stacks/);
  said = [];
  await restore(at('file'), { data: at('new') });
  expect(said.join('\n')).toContain(
    `made without the stack debian, which an app needs. Add it first: ./cupola stack add registry.example.com/debian:13 --name debian --data ${at('new')}`,
  );
  expect(readStacks(stacksFolder(at('new')))).toEqual([]);
});

test('--with-stacks carries them whole', async () => {
  await backup(at('file'), { data: await aDataFolder(), withStacks: true });
  await restore(at('file'), { data: at('new') });
  expect(said.join('\n')).not.toContain('stack add');
  const stacks = stacksFolder(at('new'));
  expect(readStacks(stacks)).toEqual([STACK]);
  const program = join(stacks, STACK.folder, 'usr/bin/hello');
  expect(readFileSync(program, 'utf8')).toBe('#!/bin/sh\n');
  expect(statSync(program).mode & 0o777).toBe(0o755);
});
