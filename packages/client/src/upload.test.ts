import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clientOf, serverThat } from './fixtures.ts';
import { uploadPackage } from './upload.ts';

const READY = { guid: 'p', state: 'READY', created_at: '2026-01-01T00:00:00Z' };

test('uploadPackage() streams the zip with a known length, and tells how far it is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-upload-'));
  const zipFile = join(folder, 'x.zip');
  writeFileSync(zipFile, Buffer.alloc(1_000_000, 'z'));
  await using server = await serverThat(() => ({ body: READY }));
  const progress: number[] = [];
  const sent = await uploadPackage(clientOf(server.origin), {
    packageGuid: 'p',
    matched: [],
    zipFile,
    progress: done => progress.push(done),
  });
  expect(sent.state).toBe('READY');
  const [asked] = server.asked;
  expect(Number(asked?.headers['content-length'])).toBe(asked?.body.length);
  expect(asked?.body).toMatch(
    /^--cupola-[0-9a-f]{32}\r\nContent-Disposition: form-data; name="resources"\r\n\r\n\[\]\r\n--/,
  );
  expect(asked?.body).toMatch(/zzz\r\n--cupola-[0-9a-f]{32}--\r\n$/);
  expect(progress.at(-1)).toBe(1_000_000);
  rmSync(folder, { recursive: true });
});

test('uploadPackage() sends the same again after a cut connection, three times at most', async () => {
  await using server = await serverThat((_asked, before) => (before === 0 ? { cut: true } : { body: READY }));
  expect((await uploadPackage(clientOf(server.origin), { packageGuid: 'p', matched: [], zipFile: null })).guid).toBe(
    'p',
  );
  expect(server.asked).toHaveLength(2);
  await using dead = await serverThat(() => ({ cut: true }));
  await expect(uploadPackage(clientOf(dead.origin), { packageGuid: 'p', matched: [], zipFile: null })).rejects.toThrow(
    /cannot be reached/,
  );
  expect(dead.asked).toHaveLength(3);
});

test('uploadPackage() does not repeat what the server refused', async () => {
  await using server = await serverThat(() => ({
    status: 400,
    body: { errors: [{ code: 160001, title: 'CF-AppBitsUploadInvalid', detail: 'no zip' }] },
  }));
  await expect(
    uploadPackage(clientOf(server.origin), { packageGuid: 'p', matched: [], zipFile: null }),
  ).rejects.toMatchObject({ code: 160001 });
  expect(server.asked).toHaveLength(1);
});
