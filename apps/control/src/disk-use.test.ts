import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diskLines, diskUse } from './disk-use.ts';

test('diskUse() measures each kind, and diskLines() says why it is kept, the largest first', () => {
  const data = mkdtempSync(join(tmpdir(), 'cupola-disk-'));
  mkdirSync(join(data, 'state/blobs'), { recursive: true });
  mkdirSync(join(data, 'state/logs'), { recursive: true });
  writeFileSync(join(data, 'state/blobs/a'), Buffer.alloc(3 << 20, 1));
  writeFileSync(join(data, 'state/logs/b'), Buffer.alloc(1 << 20, 1));
  const use = diskUse(data);
  rmSync(data, { recursive: true, force: true });
  expect(use?.kinds.find(({ name }) => name === 'packages and droplets')?.bytes).toBeGreaterThanOrEqual(3 << 20);
  expect(use?.totalBytes).toBeGreaterThan(use?.freeBytes ?? 0);
  const lines = use === null ? [] : diskLines({ ...use, refused: null });
  expect(lines.map(line => /^ {2}(\S.*?) {2,}/.exec(line)?.[1])).toEqual([
    undefined,
    'packages and droplets',
    "apps' logs",
  ]);
  expect(lines[1]).toMatch(/\d MB {2}kept: of each app the newest 5 packages and 5 droplets/);
});

test('diskLines() says that pushes are refused when the disk is nearly full', () => {
  const refused = 'less than 1.0 GB is free: pushes are refused, what runs goes on.';
  const [line] = diskLines({ totalBytes: 2 ** 36, freeBytes: 2 ** 29, keptFreeBytes: 2 ** 30, refused, kinds: [] });
  expect(line).toBe(`disk: 512 MB of 64.0 GB free; ${refused}`);
});

test('diskUse() of a folder that is not there is null', () => {
  expect(diskUse('/nonexistent/cupola')).toBeNull();
});
