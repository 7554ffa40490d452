import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { readStacks } from '@cupola/images/rootfs/installed-stacks';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { writeMember } from '../member-config.ts';
import { stacksFolder } from '../platform-config.ts';
import { addStack, listStacks, removeStack } from './stack.ts';

const run = promisify(execFile);
let work: string;
/** Of a root filesystem with no more than a shell. */
let tar: string;
let data: string;
let said: string[];

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'cupola-stack-'));
  const root = join(work, 'root');
  for (const name of ['bin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  const { stdout } = await run('ldd', ['/bin/bash']);
  for (const path of ['/bin/bash', ...(stdout.match(/\/\S+/g) ?? [])]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
  writeFileSync(join(root, 'usr/lib/os-release'), 'PRETTY_NAME="Sample Linux 7"\nID=sample\nVERSION_ID="7"\n');
  tar = join(work, 'sample.tar');
  await run('tar', ['-C', root, '-cf', tar, '.']);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());
beforeEach(() => {
  data = mkdtempSync(join(work, 'data-'));
  said = [];
  vi.spyOn(console, 'log').mockImplementation(text => void said.push(String(text)));
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
});

function aMember(folder: string): void {
  writeMember(folder, {
    ...{ version: 1, id: 'member-1', installation: 'installation-1', roles: ['agent', 'stager'] },
    ...{ addresses: [{ host: '10.0.0.5', port: 7443 }], host: '10.0.0.6', listen: '0.0.0.0', forwardPort: 0 },
    ...{ port: 0, httpsPort: 0, zone: 'z1', segment: null, domain: 'localhost', hostPorts: [] },
    ...{ allowUnsandboxed: false, dockerHost: null },
  });
}

test('stack add on a member of a cluster lays it where its cell looks, and asks no API', async () => {
  aMember(data);
  await addStack(tar, { data });
  expect(readStacks(stacksFolder(data))).toMatchObject([{ name: 'sample', description: 'Sample Linux 7' }]);
  expect(said.join('\n')).toContain('This machine offers it within seconds');
});

test('stack list and remove speak of what a member has', async () => {
  aMember(data);
  await addStack(tar, { data, name: 'mine' });
  listStacks({ data, json: true });
  expect(said.at(-1)).toContain('"name":"mine"');
  await removeStack('mine', { data });
  expect(readStacks(stacksFolder(data))).toEqual([]);
});

test('stack add where nothing of Cupola is says how to begin', async () => {
  await expect(addStack(tar, { data })).rejects.toThrow('./cupola join');
});
