import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeZip } from './archive.ts';
import { walkFolder } from './walk.ts';

test('writeZip() gives the same bytes for the same files, whatever their times', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-zip-'));
  const folder = join(root, 'app');
  mkdirSync(join(folder, 'empty'), { recursive: true });
  for (let n = 0; n < 50; n++) writeFileSync(join(folder, `file-${n}`), `${n}`.repeat(n));
  symlinkSync('file-1', join(folder, 'link'));
  const digest = async (name: string): Promise<string> => {
    await writeZip(folder, walkFolder(folder), join(root, name));
    return createHash('sha256')
      .update(readFileSync(join(root, name)))
      .digest('hex');
  };
  const first = await digest('a.zip');
  for (let n = 0; n < 50; n++) utimesSync(join(folder, `file-${n}`), n + 1, n + 1);
  expect(await digest('b.zip')).toBe(first);
  const text = readFileSync(join(root, 'a.zip')).toString('latin1');
  expect(text).toContain('empty/');
  rmSync(root, { recursive: true, force: true });
});

test('writeZip() fails when a file is gone, instead of leaving it out', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-zip-'));
  writeFileSync(join(root, 'a'), 'x');
  const walked = walkFolder(root);
  rmSync(join(root, 'a'));
  await expect(writeZip(root, walked, join(root, 'x.zip'))).rejects.toThrow(/ENOENT/);
  rmSync(root, { recursive: true, force: true });
});
