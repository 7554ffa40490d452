import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { GitSubmoduleRule } from '@cupola/model/git-rules';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Entry, type Scratch, scratch } from '../fixtures.ts';
import { type WrittenTree, writeTree } from './tree.ts';

describe('writeTree()', () => {
  let made: Scratch;
  let folder: string;
  beforeEach(() => {
    made = scratch();
    folder = join(made.folder, 'tree');
    mkdirSync(folder);
  });
  afterEach(() => made[Symbol.dispose]());

  const write = (entries: readonly Entry[], submodules: GitSubmoduleRule = 'refuse'): Promise<WrittenTree> =>
    writeTree(
      made.git,
      { repository: made.repository, commit: made.commit(entries), environment: {} },
      { folder, submodules },
    );

  test('writes files, modes, links and empty files as they are, whatever attributes say', async () => {
    const bytes = randomBytes(300_000);
    const written = await write([
      { path: '.gitattributes', content: '* text eol=crlf export-ignore ident\n' },
      { path: 'a.txt', content: 'one\n$Id$\n' },
      { path: 'bin/run', content: '#!/bin/sh\n', mode: '100755' },
      { path: 'data.bin', content: bytes },
      { path: 'empty', content: '' },
      { path: 'to-a', content: 'a.txt', mode: '120000' },
      { path: 'Ünï cödé "q"\n', content: 'x' },
    ]);
    expect(written).toMatchObject({ files: 7, submodules: [] });
    expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('one\n$Id$\n');
    expect(readFileSync(join(folder, 'data.bin')).equals(bytes)).toBe(true);
    expect(lstatSync(join(folder, 'bin/run')).mode & 0o777).toBe(0o755);
    expect(lstatSync(join(folder, 'empty')).size).toBe(0);
    expect(readlinkSync(join(folder, 'to-a'))).toBe('a.txt');
    expect(readFileSync(join(folder, 'Ünï cödé "q"\n'), 'utf8')).toBe('x');
  });

  test.each([
    ['a link that leads out', { path: 'x', content: '../../etc/passwd', mode: '120000' }, /"?x"?.*link out/],
    ['an absolute link', { path: 'x', content: '/etc/passwd', mode: '120000' }, /absolute path/],
    ['a name with a backslash', { path: 'a\\b', content: 'x' }, /a\\b/],
  ])('refuses %s, and has made no link', async (_, entry, says) => {
    await expect(write([entry, { path: 'y', content: 'file', mode: '120000' }])).rejects.toThrow(says);
    expect(existsSync(join(folder, 'y'))).toBe(false);
  });

  test('refuses links that lead out by way of others', async () => {
    const links = [
      { path: 'd/e/up', content: '../..', mode: '120000' },
      { path: 'x', content: 'd/e/up/../secret', mode: '120000' },
    ];
    await expect(write(links)).rejects.toThrow(/link out/);
  });

  test('refuses LFS pointers and names them', async () => {
    const pointer = (path: string) => ({
      path,
      content: `version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n`,
    });
    await expect(write(['a', 'b', 'c', 'd'].map(pointer))).rejects.toThrow(
      /LFS pointers in the place of files: a, b, c and 1 more/,
    );
  });

  test('refuses submodules before it writes anything, or leaves their folders empty', async () => {
    const entries = [
      { path: 'a', content: 'x' },
      { path: 'vendor/lib', content: 'f'.repeat(40), mode: '160000' },
    ];
    await expect(write(entries)).rejects.toMatchObject({
      message: expect.stringContaining('vendor/lib'),
      next: expect.stringContaining('git:config'),
    });
    expect(readdirSync(folder)).toEqual([]);
    expect(await write(entries, 'skip')).toMatchObject({ submodules: ['vendor/lib'] });
    expect(readdirSync(join(folder, 'vendor/lib'))).toEqual([]);
  });
});
