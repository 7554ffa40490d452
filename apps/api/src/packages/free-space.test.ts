import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { UnavailableError } from '@cupola/model/errors';
import { describe, expect, test, vi } from 'vitest';
import { startTestApi } from '../fixtures.ts';
import { anAppWithWeb, newPackage, upload } from './fixtures.ts';
import { requireSpace, whenFull } from './free-space.ts';

const GIB = 1024 ** 3;

function blobsWith(freeBytes: number, totalBytes: number) {
  return { blobs: { space: async () => ({ freeBytes, totalBytes }) } } as Parameters<typeof requireSpace>[0];
}

describe('requireSpace()', () => {
  test.each([
    ['a large disk with 2 GiB free', 2 * GIB, 500 * GIB, 100],
    ['a small disk with a tenth free', 1 * GIB, 10 * GIB, 100],
  ])('lets an upload come to %s', async (_what, free, total, coming) => {
    await expect(requireSpace(blobsWith(free, total), coming)).resolves.toBeUndefined();
  });

  test.each([
    ['a large disk with less than 1 GiB free', 0.9 * GIB, 500 * GIB, 100],
    ['a small disk with less than 5 % free', 0.4 * GIB, 10 * GIB, 100],
    ['what would not fit', 3 * GIB, 500 * GIB, 2.5 * GIB],
  ])('refuses %s', async (_what, free, total, coming) => {
    await expect(requireSpace(blobsWith(free, total), coming)).rejects.toThrow(/nearly full .* MB free/);
  });
});

test('whenFull() is for a full disk alone', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  expect(whenFull(full)).toBeInstanceOf(UnavailableError);
  const other = Object.assign(new Error('EIO'), { code: 'EIO' });
  expect(whenFull(other)).toBe(other);
});

const mayMount = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;
test.skipIf(!mayMount)('an upload on a full disk is 503 with code 990001, and takes no space', async () => {
  await using test = await startTestApi();
  const guid = await newPackage(test, (await anAppWithWeb(test)).guid);
  const { uploadFolder } = test.deps.config;
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', uploadFolder]);
  await using _unmount = new AsyncDisposableStack();
  _unmount.defer(() => void spawnSync('umount', [uploadFolder]));
  const answer = await upload(test, guid, { bits: [{ name: 'a', content: Buffer.alloc(1024 * 1024, 'x') }] });
  expect([answer.status, answer.body.errors[0].code, answer.headers.get('retry-after')]).toEqual([503, 990001, '5']);
  await vi.waitFor(() => expect(readdirSync(uploadFolder)).toEqual([]), 30_000);
  // Enough for the upload, and not for the pack beside it.
  const second = await upload(test, guid, { bits: [{ name: 'a', content: Buffer.alloc(150 * 1024, 'x') }] });
  expect([second.status, second.body.errors[0].code]).toEqual([503, 990001]);
  expect(readdirSync(uploadFolder)).toEqual([]);
  const { body } = await test.api('GET', `/v3/packages/${guid}`, { token: test.admin });
  expect(body.state).toBe('AWAITING_UPLOAD');
});
