import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unzip } from './unzip.ts';
import { forgeZip } from './zip-fixtures.ts';
import { assemblePack, type MatchedEntry } from './zip-pack.ts';

/** Folders of two names, files of four: collisions are frequent, and keys of a record are unique. */
const path = fc
  .tuple(fc.constantFrom('', 'd1/', 'd2/e/'), fc.constantFrom('a', 'b', 'c', 'x y', 'ü'))
  .map(parts => parts.join(''));
const files = fc.dictionary(
  path,
  fc.string({ minLength: 1, maxLength: 3_000, unit: fc.constantFrom('a', 'b', '\n') }),
  { maxKeys: 12 },
);

/** Content by path of what lies in a folder. */
function contents(folder: string): Record<string, string> {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  const paths = found.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(paths.map(file => [file.slice(folder.length + 1), readFileSync(file, 'utf8')]));
}

test('a pack of new and matched files unpacks to the same files as a zip of all of them, push after push', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-packs-'));
  let runs = 0;
  const property = fc.asyncProperty(
    fc.array(files, { minLength: 1, maxLength: 4 }),
    fc.boolean(),
    async (pushes, deflate) => {
      const work = join(root, String(runs++));
      mkdirSync(work);
      const known = new Map<string, MatchedEntry>();
      for (const [at, wanted] of pushes.entries()) {
        const all = Object.entries(wanted);
        const fresh = all.filter(([, content]) => !known.has(content));
        const matched = all.flatMap(([name, content]) => {
          const entry = known.get(content);
          return entry === undefined ? [] : [{ ...entry, path: name }];
        });
        const upload = join(work, `upload-${at}`);
        writeFileSync(upload, forgeZip(fresh.map(([name, content]) => ({ name, content, deflate }))));
        const target = join(work, `pack-${at}`);
        const pack = await assemblePack({ upload, matched, target, unpackedMaxBytes: 1_000_000 });
        for (const file of pack.files)
          known.set(wanted[file.path] ?? '', {
            ...file,
            kind: 'file',
            mode: 0o644,
            pack: { file: target, digest: pack.digest },
          });
        const out = join(work, `out-${at}`);
        mkdirSync(out);
        await unzip(target, out, { unpackedMaxBytes: 1_000_000 });
        expect(contents(out)).toEqual(wanted);
      }
      rmSync(work, { recursive: true });
    },
  );
  try {
    await fc.assert(property, { numRuns: 150 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
