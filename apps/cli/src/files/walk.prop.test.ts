import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readIgnoreRules } from './ignore.ts';
import { walkFolder } from './walk.ts';

function withFolder<T>(act: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-walk-'));
  try {
    return act(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const name = fc.constantFrom('a', 'b', 'a.js', 'b.log', 'node_modules', '.git', 'ä', 'x y', 'B');
const file = fc.record({ path: fc.array(name, { minLength: 1, maxLength: 4 }), content: fc.string({ maxLength: 20 }) });
const lines = fc.array(
  fc.constantFrom('*.js', 'node_modules', '!node_modules/a', '/a', 'b/', '**/b.log', '!b', 'a/*'),
  { maxLength: 4 },
);

/** The rule in as few words as possible: every file below, each judged by itself. */
function naive(folder: string, text: string): { path: string; sha1: string }[] {
  const rules = readIgnoreRules(text);
  const all = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  return all
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter(path => !rules.ignores(path))
    .map(path => ({
      path,
      sha1: createHash('sha1')
        .update(readFileSync(join(folder, path)))
        .digest('hex'),
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

test('walkFolder() finds what the naive walk finds, each file with its SHA-1', () => {
  fc.assert(
    fc.property(fc.array(file, { maxLength: 12 }), lines, (files, rules) =>
      withFolder(folder => {
        for (const { path, content } of files) {
          try {
            mkdirSync(join(folder, dirname(path.join('/'))), { recursive: true });
            writeFileSync(join(folder, path.join('/')), content);
          } catch {
            // A file where a folder is wanted, or the reverse: this one is left out.
          }
        }
        writeFileSync(join(folder, '.cfignore'), rules.join('\n'));
        const found = walkFolder(folder)
          .files.map(({ path, sha1 }) => ({ path, sha1 }))
          .sort((a, b) => (a.path < b.path ? -1 : 1));
        expect(found).toEqual(naive(folder, rules.join('\n')));
      }),
    ),
    { numRuns: 150 },
  );
});

test('walkFolder() does not look at times, and keeps permission bits', () =>
  withFolder(folder => {
    writeFileSync(join(folder, 'run.sh'), 'x');
    chmodSync(join(folder, 'run.sh'), 0o755);
    const first = walkFolder(folder);
    utimesSync(join(folder, 'run.sh'), 1, 1);
    expect(walkFolder(folder)).toEqual(first);
    expect(first.files).toEqual([
      { path: 'run.sh', mode: 0o755, sizeBytes: 1, sha1: createHash('sha1').update('x').digest('hex') },
    ]);
  }));

test('walkFolder() names links without following them, empty folders, and what cannot be pushed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-walk-'));
  const server = createServer().listen(join(folder, 'socket'));
  await new Promise(resolve => server.once('listening', resolve));
  mkdirSync(join(folder, 'empty/deep'), { recursive: true });
  mkdirSync(join(folder, 'ignored'));
  writeFileSync(join(folder, 'ignored/x'), 'x');
  writeFileSync(join(folder, '.cfignore'), 'ignored/x');
  symlinkSync('/etc', join(folder, 'link'));
  const walked = walkFolder(folder);
  server.close();
  rmSync(folder, { recursive: true, force: true });
  expect(walked).toEqual({
    files: [],
    links: [{ path: 'link', target: '/etc' }],
    emptyFolders: ['empty/deep', 'ignored'],
    skipped: ['socket'],
  });
});

test('walkFolder() hashes files of more than one piece', () =>
  withFolder(folder => {
    const content = Buffer.alloc(9 * 1024 * 1024, 'abc');
    writeFileSync(join(folder, 'big'), content);
    expect(walkFolder(folder).files[0]).toMatchObject({
      sizeBytes: content.length,
      sha1: createHash('sha1').update(content).digest('hex'),
    });
  }));
