import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PIECE_BYTES } from './deflate.ts';
import { unzip } from './unzip.ts';
import { createZip, type NewEntry } from './zip-create.ts';

/** Noise and text by turns, of sizes around the limits where the writer changes its way. */
const size = fc.oneof(
  fc.nat(300),
  fc.integer({ min: 32 * 1024 - 2, max: 32 * 1024 + 2 }),
  fc.integer({ min: PIECE_BYTES - 2, max: PIECE_BYTES + 2 }),
);
const content = fc.tuple(size, fc.nat(), fc.nat(3)).map(([length, seed, noisy]) => {
  const bytes = Buffer.alloc(length);
  let state = seed + 1;
  for (let at = 0; at < length; at++) {
    // A few lines of a linear congruential generator: noise that a seed repeats.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = noisy === 0 ? state >>> 24 : noisy === 1 && at % 70_000 < 35_000 ? state >>> 24 : at % 11;
  }
  return bytes;
});
const files = fc.array(content, { maxLength: 8 });

test('createZip() and unzip() agree on every byte, and the same files give the same zip', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-created-'));
  let runs = 0;
  const property = fc.asyncProperty(files, async contents => {
    const work = join(root, String(runs++));
    for (const name of ['in', 'out']) mkdirSync(join(work, name), { recursive: true });
    const entries = contents.map((bytes, at): NewEntry => {
      const file = join(work, 'in', String(at));
      writeFileSync(file, bytes);
      return { kind: 'file', path: `d${at % 3}/${at}`, mode: 0o644, file };
    });
    await createZip(join(work, 'a.zip'), entries);
    await createZip(join(work, 'b.zip'), entries);
    await unzip(join(work, 'a.zip'), join(work, 'out'), { unpackedMaxBytes: 100 * PIECE_BYTES });
    const out = contents.map((_, at) => readFileSync(join(work, 'out', `d${at % 3}/${at}`)));
    expect(out.map((bytes, at) => bytes.equals(contents[at] as Buffer))).toEqual(contents.map(() => true));
    expect(readFileSync(join(work, 'a.zip')).equals(readFileSync(join(work, 'b.zip')))).toBe(true);
    rmSync(work, { recursive: true });
  });
  try {
    await fc.assert(property, { numRuns: 60 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
