import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FolderMemory, openFolderMemory } from './pushed-folder.ts';
import type { Walked } from './walk.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cupola-home-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const open = (name = 'web1'): FolderMemory => openFolderMemory(home, { folder: '/app', place: ['api', 'space', name] });
const MADE = { guid: 'package-1', checksum: 'c', appGuid: 'app-1' };
const SEEN = { sizeBytes: 5, mtimeMs: 1.25, ctimeMs: 2.5, inode: 7 };
const WALKED: Walked = {
  files: [
    { path: 'a', mode: 0o644, sha1: 'sha1-a', ...SEEN },
    { path: 'b\nc', mode: 0o755, sha1: 'sha1-b', ...SEEN, ctimeMs: null },
  ],
  links: [],
  emptyFolders: ['empty'],
  skipped: [],
};
const onlyFile = (): string => join(home, 'pushed', readdirSync(join(home, 'pushed'))[0] ?? '');

test('recall() gives what was remembered, for its owner only', () => {
  open().remember(WALKED, MADE);
  expect(open().recall()).toEqual({
    package: MADE,
    files: new Map(WALKED.files.map(file => [file.path, file])),
    emptyFolders: ['empty'],
  });
  expect(statSync(onlyFile()).mode & 0o777).toBe(0o600);
  expect(open('other').recall()).toBeNull();
});

test('recall() of a damaged file is as of none', () => {
  open().remember(WALKED, MADE);
  const text = readFileSync(onlyFile(), 'utf8');
  for (const damaged of [
    text.slice(0, -20),
    '{}',
    text.replace('"sha1-a",', ''),
    text.replace('"version":1', '"version":2'),
  ]) {
    writeFileSync(onlyFile(), damaged);
    expect(open().recall()).toBeNull();
  }
});

test('remember() forgets folders that nobody has pushed for a long time', () => {
  open().remember(WALKED, null);
  utimesSync(onlyFile(), 1, 1);
  open('other').remember(WALKED, null);
  expect(open().recall()).toBeNull();
  expect(open('other').recall()).toMatchObject({ package: null });
});

test('remember() where nothing can be written fails no push', () => {
  writeFileSync(join(home, 'pushed'), 'a file');
  open().remember(WALKED, MADE);
  expect(open().recall()).toBeNull();
});
