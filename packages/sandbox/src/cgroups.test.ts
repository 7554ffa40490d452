/** The files that are written and read, on fake trees: real limits are in the sandbox contract, on whatever version this machine has. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCgroups } from './cgroups.ts';
import { tempFolder } from './fixtures.ts';

const limits = { memoryMb: 64, cpuShare: 0.5, pidsMax: 100 };
const read = (...path: string[]): string => readFileSync(join(...path), 'utf8');

/** As the kernel shows it: a folder with the files of a group. */
function versionTwo(): Disposable & { path: string } {
  const tree = tempFolder();
  writeFileSync(join(tree.path, 'cgroup.controllers'), 'cpuset cpu io memory pids\n');
  return tree;
}
function versionOne(...hierarchies: string[]): Disposable & { path: string } {
  const tree = tempFolder();
  for (const name of hierarchies) {
    mkdirSync(join(tree.path, name));
    writeFileSync(join(tree.path, name, 'cgroup.procs'), '');
  }
  return tree;
}

describe('version 2', () => {
  test('openCgroups() hands the controllers down to where the groups are', () => {
    using tree = versionTwo();
    expect(openCgroups('cupola/one', tree.path)).toMatchObject({
      version: 2,
      enforced: { mem: true, cpu: true, pids: true },
    });
    expect(read(tree.path, 'cgroup.subtree_control')).toMatch(/^\+/);
    expect(existsSync(join(tree.path, 'cupola/one/cgroup.subtree_control'))).toBe(true);
  });

  test('limit() writes the limits, and no swap where there is any', () => {
    using tree = versionTwo();
    const cgroups = openCgroups('cupola', tree.path);
    const folder = join(tree.path, 'cupola/app');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'memory.swap.max'), 'max\n');
    const group = cgroups?.create('app');
    group?.limit(limits);
    expect(read(folder, 'memory.max')).toBe(String(64 * 1024 * 1024));
    expect(read(folder, 'memory.swap.max')).toBe('0');
    expect(read(folder, 'pids.max')).toBe('100');
    expect(read(folder, 'cpu.weight')).toBe('50');
    expect(group).toMatchObject({
      path: 'cupola/app',
      joinFiles: [join(folder, 'cgroup.procs')],
      oomFile: join(folder, 'memory.events'),
    });
  });

  test('usage() leaves out what the kernel may drop', () => {
    using tree = versionTwo();
    const group = openCgroups('cupola', tree.path)?.create('app');
    const folder = join(tree.path, 'cupola/app');
    writeFileSync(join(folder, 'memory.current'), '5000000\n');
    writeFileSync(join(folder, 'memory.stat'), 'anon 1\ninactive_file 2000000\n');
    writeFileSync(join(folder, 'cpu.stat'), 'usage_usec 1500000\nuser_usec 1\n');
    expect(group?.usage()).toEqual({ cpuSeconds: 1.5, memoryBytes: 3_000_000 });
  });

  test('kill() ends all at once where the kernel can', () => {
    using tree = versionTwo();
    const group = openCgroups('cupola', tree.path)?.create('app');
    writeFileSync(join(tree.path, 'cupola/app/cgroup.kill'), '');
    group?.kill();
    expect(read(tree.path, 'cupola/app/cgroup.kill')).toBe('1');
  });

  test('a group that is gone has no usage, no pids, and is removed again without complaint', async () => {
    using tree = versionTwo();
    const group = openCgroups('cupola', tree.path)?.find('gone');
    expect(group?.usage()).toEqual({ cpuSeconds: 0, memoryBytes: 0 });
    expect(group?.pids()).toEqual([]);
    await group?.remove();
  });
});

describe('version 1', () => {
  test('openCgroups() lets all sandboxes together weigh as much as one process for each processor', () => {
    using tree = versionOne('memory', 'cpu');
    const folder = join(tree.path, 'cpu/cupola');
    mkdirSync(folder);
    writeFileSync(join(folder, 'cpu.shares'), '1024');
    openCgroups('cupola/one', tree.path);
    expect(read(folder, 'cpu.shares')).toBe(String(1024 * availableParallelism()));
  });

  test('openCgroups() takes the hierarchies that are there', () => {
    using tree = versionOne('memory', 'pids');
    expect(openCgroups('cupola', tree.path)).toMatchObject({
      version: 1,
      enforced: { mem: true, cpu: false, pids: true },
    });
  });

  test('limit() writes the limits, swap with memory where it is accounted', () => {
    using tree = versionOne('memory', 'cpu', 'pids');
    const cgroups = openCgroups('cupola', tree.path);
    mkdirSync(join(tree.path, 'memory/cupola/app'), { recursive: true });
    writeFileSync(join(tree.path, 'memory/cupola/app/memory.memsw.limit_in_bytes'), '');
    cgroups?.create('app').limit(limits);
    const bytes = String(64 * 1024 * 1024);
    expect(read(tree.path, 'memory/cupola/app/memory.limit_in_bytes')).toBe(bytes);
    expect(read(tree.path, 'memory/cupola/app/memory.memsw.limit_in_bytes')).toBe(bytes);
    expect(read(tree.path, 'cpu/cupola/app/cpu.shares')).toBe('512');
    expect(read(tree.path, 'pids/cupola/app/pids.max')).toBe('100');
  });

  test('usage() reads memory and the accounting beside it', () => {
    using tree = versionOne('memory', 'cpuacct');
    writeFileSync(join(tree.path, 'cpuacct/cpuacct.usage'), '0\n');
    const group = openCgroups('cupola', tree.path)?.create('app');
    writeFileSync(join(tree.path, 'cpuacct/cupola/app/cpuacct.usage'), '2500000000\n');
    writeFileSync(join(tree.path, 'memory/cupola/app/memory.usage_in_bytes'), '900\n');
    appendFileSync(join(tree.path, 'memory/cupola/app/memory.stat'), 'cache 1\ntotal_inactive_file 400\n');
    expect(group?.usage()).toEqual({ cpuSeconds: 2.5, memoryBytes: 500 });
    expect(group?.joinFiles.map(file => file.slice(tree.path.length))).toEqual([
      '/memory/cupola/app/cgroup.procs',
      '/cpuacct/cupola/app/cgroup.procs',
    ]);
  });

  test('remove() and close() leave no folder, in hierarchies of others neither', async () => {
    using tree = versionOne('memory', 'devices');
    const cgroups = openCgroups('cupola/one', tree.path);
    const group = cgroups?.find('app');
    // As runc leaves them: in every hierarchy.
    for (const hierarchy of ['memory', 'devices'])
      mkdirSync(join(tree.path, hierarchy, 'cupola/one/app'), { recursive: true });
    await group?.remove();
    cgroups?.close();
    expect(readdirSync(join(tree.path, 'memory'))).toEqual(['cgroup.procs']);
    expect(readdirSync(join(tree.path, 'devices'))).toEqual(['cgroup.procs']);
  });

  test('close() leaves groups that something runs in', () => {
    using tree = versionOne('memory');
    const cgroups = openCgroups('cupola/one', tree.path);
    cgroups?.create('ended');
    cgroups?.create('running');
    // A file stands for what the kernel does not let go.
    writeFileSync(join(tree.path, 'memory/cupola/one/running/busy'), '');
    cgroups?.close();
    expect(readdirSync(join(tree.path, 'memory/cupola/one'))).toEqual(['running']);
  });

  test('openCgroups() is null where there is none, and makes none', () => {
    using tree = versionOne();
    expect(openCgroups('cupola', tree.path)).toBeNull();
    expect(readdirSync(tree.path)).toEqual([]);
  });
});
