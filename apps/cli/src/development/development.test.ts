/** What a folder holds, what of it has changed, the tar of that, and the hints by which one looks. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DEVELOPMENT_LIMITS } from '@cupola/model/development';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tarEntries } from '../fixtures.ts';
import { changeTar } from './change-tar.ts';
import { createLooks, FolderGoneError, folderView } from './folder.ts';
import { createHints, type Hints } from './hints.ts';
import { type Tree, type TreeChanges, treeChanges, treeOf } from './tree.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cupola-dev-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

const look = (): Tree => createLooks(root)().tree;
const ASKED = { restart: false, stale: [] as readonly string[], place: (path: string) => path };

/** Of what was done since `before`. */
function tarOf(before: Tree, asked: Partial<typeof ASKED> = {}) {
  const now = look();
  return changeTar(root, { ...ASKED, ...asked, changes: treeChanges(before, now), before, now });
}

describe('treeChanges()', () => {
  test('tells files by content and mode, links by where they lead, and the topmost of what is gone', () => {
    write({ same: '1', text: '1', mode: '1', 'old/a': '', 'old/deep/b': '', kind: '', 'folder/in': '' });
    symlinkSync('same', join(root, 'link'));
    const before = look();
    write({ text: '2', 'new/deep/c': '' });
    chmodSync(join(root, 'mode'), 0o755);
    utimesSync(join(root, 'same'), 1, 1);
    for (const path of ['old', 'link', 'kind', 'folder']) rmSync(join(root, path), { recursive: true });
    symlinkSync('text', join(root, 'link'));
    mkdirSync(join(root, 'kind'));
    write({ folder: '' });
    expect(treeChanges(before, look())).toEqual({
      added: ['new/deep/c'],
      changed: ['folder', 'mode', 'text', 'link', 'kind'],
      removed: ['folder/in', 'old/a', 'old/deep/b'],
      gone: ['folder', 'kind', 'old'],
    });
    expect(treeChanges(before, before)).toEqual({ added: [], changed: [], removed: [], gone: [] });
  });

  test('of a file that may not be what it was hashed as another time is enough', () => {
    write({ a: '1' });
    const before = look();
    utimesSync(join(root, 'a'), 1, 1);
    expect(treeChanges(before, look(), { isSure: false }).changed).toEqual(['a']);
  });

  test('what editors keep beside a file is none of it', () => {
    write({
      'src/a.js': '',
      'src/.a.js.swp': '',
      'src/a.js~': '',
      'src/4913': '',
      'src/.#a.js': '',
      '.idea/x.xml': '',
    });
    expect([...look().keys()].toSorted()).toEqual(['src', 'src/a.js']);
  });

  test('a folder that only packages and compiled files fill is one that is empty', () => {
    write({ 'node_modules/a/b.js': '', 'lib/__pycache__/a.pyc': '', 'src/node_modules/c': '' });
    expect([...look()]).toEqual([
      ['lib', { kind: 'folder' }],
      ['src', { kind: 'folder' }],
    ]);
    const pushed = ['lib/__pycache__/a.pyc', 'src/node_modules/c', 'node_modules/a/b.js'].map(path => ({
      ...{ path, sha1: '', mode: 0o644, mtimeMs: 0, ctimeMs: 0, inode: 1, sizeBytes: 0 },
    }));
    const tree = treeOf({ files: pushed, links: [], emptyFolders: [] });
    expect(treeChanges(tree, look())).toMatchObject({ added: [], changed: [], removed: [] });
  });
});

describe('changeTar()', () => {
  test('has what is gone, the word to start anew, and files as they are, at their places', () => {
    write({ gone: '', 'lib/a': '1', tool: '' });
    const before = look();
    rmSync(join(root, 'gone'));
    write({ 'lib/a': '22', 'lib/b': 'ünï', tool: '#!' });
    utimesSync(join(root, 'lib/b'), 5, 1_700_000_000.75);
    chmodSync(join(root, 'tool'), 0o755);
    symlinkSync('../tool', join(root, 'lib/link'));
    mkdirSync(join(root, 'empty'));
    const place = (path: string): string => `public/${path}`;
    const made = tarOf(before, { restart: true, stale: ['lib/__pycache__'], place });
    const entries = tarEntries(made?.body ?? Buffer.alloc(0));
    expect(entries.map(({ name, type, text, target }) => [name, type, target || text])).toEqual([
      ['removed', '0', 'public/gone\nlib/__pycache__\n'],
      ['restart', '0', ''],
      ['files/', '5', ''],
      ['files/public/lib/b', '0', 'ünï'],
      ['files/public/lib/link', '2', '../tool'],
      ['files/public/empty/', '5', ''],
      ['files/public/lib/a', '0', '22'],
      ['files/public/tool', '0', '#!'],
    ]);
    expect(entries.find(({ name }) => name.endsWith('/tool'))?.mode).toBe(0o755);
    expect(entries.find(({ name }) => name.endsWith('lib/b'))?.mtimeSeconds).toBe(1_700_000_000);
    expect(treeChanges(made?.after ?? new Map(), look())).toMatchObject({
      added: [],
      changed: [],
      removed: [],
      gone: [],
    });
    expect(execFileSync('tar', ['-tf', '-'], { input: made?.body }).toString().split('\n')).toHaveLength(
      entries.length + 1,
    );
  });

  test('of a file that changed after the look has what it holds by then, and of one that went nothing', () => {
    const before = look();
    write({ a: '1', b: '1' });
    const now = look();
    write({ a: '2' });
    rmSync(join(root, 'b'));
    const made = changeTar(root, { ...ASKED, changes: treeChanges(before, now), before, now });
    expect(made?.isOutdated).toBe(true);
    expect(tarEntries(made?.body ?? Buffer.alloc(0)).map(({ text }) => text)).toEqual(['', '2']);
    // The next look finds nothing more to do: the app has what is there.
    expect(treeChanges(made?.after ?? new Map(), look())).toMatchObject({ added: [], changed: [], removed: [] });
  });

  test('is none where there is more than a change may hold, or a name that it may not have', () => {
    const before = look();
    write({ 'a\nb': '' });
    expect(tarOf(before)).toBeNull();
    rmSync(join(root, 'a\nb'));
    write({ large: '' });
    const now = new Map(look());
    now.set('large', { kind: 'file', sha1: '', mode: 0, mtimeMs: 0, sizeBytes: DEVELOPMENT_LIMITS.changeMaxBytes + 1 });
    const changes: TreeChanges = { added: ['large'], changed: [], removed: [], gone: [] };
    expect(changeTar(root, { ...ASKED, changes, before, now })).toBeNull();
    const many = {
      ...changes,
      added: [],
      gone: Array.from({ length: DEVELOPMENT_LIMITS.pathsMax + 1 }, (_, at) => `f${at}`),
    };
    expect(changeTar(root, { ...ASKED, changes: many, before, now })).toBeNull();
  });

  const path = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'));
  const files = fc.dictionary(path, fc.constantFrom('1', '2', '3'), { maxKeys: 6 });

  test('laid over what was there gives what is there, whatever was changed into what', () => {
    fc.assert(
      fc.property(files, files, (one, other) => {
        const lay = (wanted: Record<string, string>): Tree => {
          rmSync(root, { recursive: true });
          mkdirSync(root);
          for (const [at, text] of Object.entries(wanted))
            try {
              write({ [at]: text });
            } catch {
              // A file lies where its folder would be: there is the one or the other.
            }
          return look();
        };
        const before = lay(one);
        const now = lay(other);
        const changes = treeChanges(before, now);
        const made = changeTar(root, { ...ASKED, changes, before, now });
        expect(treeChanges(made?.after ?? new Map(), now)).toEqual({ added: [], changed: [], removed: [], gone: [] });
        // As the launcher lays it: what is gone first, then the files.
        const app = new Map(
          [...before].flatMap(([at, entry]) => (entry.kind === 'file' ? [[at, entry.sha1] as const] : [])),
        );
        for (const gone of changes.gone)
          for (const known of [...app.keys()]) if (known === gone || known.startsWith(`${gone}/`)) app.delete(known);
        for (const at of [...changes.added, ...changes.changed]) {
          const entry = now.get(at);
          if (entry?.kind === 'file') app.set(at, entry.sha1);
        }
        const wanted = [...now].flatMap(([at, entry]) => (entry.kind === 'file' ? [[at, entry.sha1] as const] : []));
        expect(app).toEqual(new Map(wanted));
      }),
      { numRuns: 60 },
    );
  });
});

describe('createLooks()', () => {
  test('leaves out what stays at home, and never takes a folder that is gone for one that is empty', () => {
    write({ a: '', '.cfignore': 'b\n', b: '', '.git/x': '', 'node_modules/y': '' });
    const looks = createLooks(root);
    expect(looks()).toMatchObject({ files: 1, ignore: 'b\n', folders: [join(root, '')] });
    rmSync(root, { recursive: true });
    expect(looks).toThrow(FolderGoneError);
  });

  test('folderView() gives no text that is not the one that was hashed', () => {
    write({ a: '1', b: '2' });
    const tree = look();
    write({ a: '3' });
    const { textOf } = folderView(root, tree);
    expect(['a', 'b', 'c'].map(textOf)).toEqual([null, '2', null]);
  });
});

describe('createHints()', () => {
  const LONG_MS = 60_000;
  const { signal } = new AbortController();

  /** Nothing is left that was heard. */
  async function drained(hints: Hints): Promise<void> {
    while ((await hints.next(50, signal)) !== null);
  }

  test('hears of a change in each folder that is watched, also in one that took the place of another', async () => {
    using hints = createHints();
    write({ 'one/a': '', 'two/b': '' });
    const folders = ['one', 'two'].map(name => join(root, name));
    expect(hints.watch(folders)).toBe(true);
    expect(hints.watch(folders)).toBe(false);
    for (const name of ['one', 'two']) {
      await drained(hints);
      write({ [`${name}/new`]: '1' });
      expect(await hints.next(LONG_MS, signal)).not.toBeNull();
    }
    // What goes on there is heard, or not, until it is watched anew.
    renameSync(join(root, 'one'), join(root, 'elsewhere'));
    mkdirSync(join(root, 'one'));
    expect(hints.watch(folders)).toBe(true);
    await drained(hints);
    write({ 'one/fresh': '1' });
    expect(await hints.next(LONG_MS, signal)).not.toBeNull();
    rmSync(join(root, 'two'), { recursive: true });
    expect(hints.watch(folders)).toBe(false);
  });

  test('gathers hints into one, is told to look by nobody after a while, and ends when it is asked to', async () => {
    using hints = createHints();
    hints.hint();
    hints.hint();
    expect(await hints.next(LONG_MS, signal)).not.toBeNull();
    expect(await hints.next(1, signal)).toBeNull();
    const ended = new AbortController();
    const waiting = hints.next(LONG_MS, ended.signal);
    ended.abort();
    await expect(waiting).rejects.toThrow();
  });
});
