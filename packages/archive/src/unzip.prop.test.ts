import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ArchiveRefusedError } from '@cupola/model/errors';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unzip } from './unzip.ts';
import { hostileZip } from './zip-arbitrary.ts';
import { everythingBelow } from './zip-fixtures.ts';

const MAX_BYTES = 1_000;

test('unzip() writes nothing outside its folder and nothing over its limit, whatever the bytes are', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-fuzz-'));
  const property = fc.asyncProperty(hostileZip, async bytes => {
    const work = join(root, 'work');
    mkdirSync(join(work, 'target'), { recursive: true });
    writeFileSync(join(work, 'app.zip'), bytes);
    const outcome = await unzip(join(work, 'app.zip'), join(work, 'target'), { unpackedMaxBytes: MAX_BYTES }).catch(
      (error: unknown) => error,
    );
    expect(outcome === undefined || outcome instanceof ArchiveRefusedError).toBe(true);
    const written = everythingBelow(join(work, 'target'));
    const outside = written
      .filter(found => lstatSync(found).isSymbolicLink())
      .map(found => resolve(found, '..', readlinkSync(found)))
      .filter(leads => !`${leads}/`.startsWith(`${join(work, 'target')}/`));
    expect(outside).toEqual([]);
    expect(readdirSync(work).sort()).toEqual(['app.zip', 'target']);
    expect(readdirSync(root)).toEqual(['work']);
    const size = written.reduce((sum, found) => sum + (lstatSync(found).isFile() ? lstatSync(found).size : 0), 0);
    expect(size).toBeLessThanOrEqual(MAX_BYTES);
    rmSync(work, { recursive: true });
  });
  try {
    await fc.assert(property, { numRuns: 500 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
