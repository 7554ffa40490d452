import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ArchiveRefusedError } from '@cupola/model/errors';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unzip } from './unzip.ts';
import { type ForgedEntry, forgeZip } from './zip-fixtures.ts';

const part = fc.constantFrom('a', 'b', 'link', '..', '.', '', 'C:', 'x\\y', '\0');
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'));
const entry: fc.Arbitrary<ForgedEntry> = fc.record(
  {
    name: path,
    content: fc.oneof(path, fc.string({ maxLength: 40 }), fc.constant('/etc/passwd')),
    mode: fc.constantFrom(0, 0o100644, 0o120777, 0o040755, 0o104755, 0o020666),
    deflate: fc.boolean(),
    saidSize: fc.nat(100),
    saidCompressed: fc.nat(100),
    saidOffset: fc.nat(200),
    flags: fc.constantFrom(0, 0x0800, 0x0008, 1),
    descriptor: fc.boolean(),
    localExtra: fc.uint8Array({ maxLength: 80 }).map(bytes => Buffer.from(bytes)),
    zip64: fc.record(
      { size: fc.bigInt(0n, 2n ** 64n - 1n), compressed: fc.bigInt(0n, 300n), offset: fc.bigInt(0n, 2n ** 64n - 1n) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['name', 'content'] },
);
const MAX_BYTES = 1_000;

/** Every name below a folder, and where its links lead. */
function walk(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map(found => join(found.parentPath, found.name));
}

test('unzip() writes nothing outside its folder and nothing over its limit, whatever the bytes are', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-fuzz-'));
  const property = fc.asyncProperty(
    fc.array(entry, { maxLength: 6 }),
    fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 3 }),
    async (entries, flips) => {
      const work = join(root, 'work');
      mkdirSync(join(work, 'target'), { recursive: true });
      const bytes = forgeZip(entries);
      for (const [at, value] of flips) bytes.writeUInt8(value, at % bytes.length);
      writeFileSync(join(work, 'app.zip'), bytes);
      const outcome = await unzip(join(work, 'app.zip'), join(work, 'target'), { unpackedMaxBytes: MAX_BYTES }).catch(
        (error: unknown) => error,
      );
      expect(outcome === undefined || outcome instanceof ArchiveRefusedError).toBe(true);
      const written = walk(join(work, 'target'));
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
    },
  );
  try {
    await fc.assert(property, { numRuns: 500 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
