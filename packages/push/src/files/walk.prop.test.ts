import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { readIgnoreRules } from './ignore.ts';
import { type Walked, type WalkedFile, walkFolder } from './walk.ts';

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
        const former = walkFolder(folder);
        expect(walkFolder(folder, formerOf(former))).toEqual(former);
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
    const known = { path: 'run.sh', mode: 0o755, sizeBytes: 1, sha1: createHash('sha1').update('x').digest('hex') };
    expect(first.files).toMatchObject([known]);
    expect(walkFolder(folder).files).toMatchObject([known]);
  }));

/** As a later push finds them. */
const formerOf = ({ files }: Pick<Walked, 'files'>) =>
  new Map(files.map((file): [string, WalkedFile] => [file.path, file]));

/** What is written from now on has another time than all that was. */
function nextTick(folder: string): void {
  const touch = (): number => {
    writeFileSync(join(folder, '.touched'), 'x');
    return statSync(join(folder, '.touched')).ctimeMs;
  };
  for (const first = touch(); touch() === first; );
  rmSync(join(folder, '.touched'));
}

/** All of them keep the size, and the mtime that was. */
const DISGUISES: Record<string, (path: string, content: string) => void> = {
  rewritten: (path, content) => writeFileSync(path, content),
  replaced: (path, content) => {
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  },
  appendedAndCut: (path, content) => {
    writeFileSync(path, `${content}${content}`);
    truncateSync(path, content.length);
  },
};

test('walkFolder() that knows an earlier walk finds what a fresh one finds, however the files were changed', () => {
  afterwards(() =>
    fc.assert(
      fc.property(
        fc.array(file, { minLength: 1, maxLength: 12 }),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom(...Object.keys(DISGUISES))), { maxLength: 4 }),
        (files, changes) =>
          withFolder(folder => {
            for (const [at, { content }] of files.entries()) writeFileSync(join(folder, `f${at}`), `${content}.`);
            nextTick(folder);
            const former = walkFolder(folder);
            for (const [at, how] of changes) {
              const path = join(folder, `f${at % files.length}`);
              const { mtime, size } = statSync(path);
              DISGUISES[how]?.(path, 'y'.repeat(size));
              utimesSync(path, mtime, mtime);
            }
            const known = walkFolder(folder, formerOf(former)).files.map(({ sha1 }) => sha1);
            expect(known).toEqual(walkFolder(folder).files.map(({ sha1 }) => sha1));
          }),
      ),
      { numRuns: 60 },
    ),
  );
});

test('walkFolder() opens no file that is as it was', () =>
  afterwards(() =>
    withFolder(folder => {
      writeFileSync(join(folder, 'a'), 'x');
      const former = walkFolder(folder).files.map(known => ({ ...known, sha1: 'remembered' }));
      const again = walkFolder(folder, formerOf({ files: former }));
      expect(again.files).toMatchObject([{ path: 'a', sizeBytes: 1, sha1: 'remembered' }]);
    }),
  ));

test('walkFolder() does not trust what it says of a file that had just been written: its next change may bear the same time', () =>
  withFolder(folder => {
    writeFileSync(join(folder, 'a'), 'x');
    const { files } = walkFolder(folder);
    expect(files).toMatchObject([{ ctimeMs: null }]);
    const former = formerOf({ files: files.map(known => ({ ...known, sha1: 'remembered' })) });
    expect(walkFolder(folder, former).files[0]?.sha1).not.toBe('remembered');
  }));

/** Runs `act` as if all files of today had been left alone for a minute. */
function afterwards(act: () => void): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  try {
    act();
  } finally {
    vi.useRealTimers();
  }
}

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
