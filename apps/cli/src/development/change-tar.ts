/**
 * The tar of one change (contract/v3/development.ts): what is gone, whether to start anew, and each changed file as it is at this moment. What is remembered
 * of a file is of the bytes that were read for the tar: one that changes under the hand is another change later.
 */
import { hash } from 'node:crypto';
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TarEntry, tarEnd, tarHeader, tarPadding } from '@cupola/archive/tar-bytes';
import { DEVELOPMENT_LIMITS, FILES_ENTRY, isChangePath, REMOVED_ENTRY, RESTART_ENTRY } from '@cupola/model/development';
import { isBelowOne, type Tree, type TreeChanges, type TreeEntry } from './tree.ts';

export interface ChangeTar {
  readonly body: Buffer;
  /** What the app has after it. */
  readonly after: Tree;
  /** Something was gone, or another kind of thing, when it was to be read: look again. */
  readonly isOutdated: boolean;
}

interface Asked {
  readonly changes: TreeChanges;
  readonly before: Tree;
  readonly now: Tree;
  readonly restart: boolean;
  /** Folders that go besides. */
  readonly stale: readonly string[];
  place(path: string): string;
}

/** Null: more than a change may be, which a push is made for. */
export function changeTar(root: string, { changes, before, now, restart, stale, place }: Asked): ChangeTar | null {
  const after = new Map(before);
  const removed = [...new Set([...changes.gone.map(place), ...stale])];
  const puts = [...changes.added, ...changes.changed];
  if (removed.length + puts.length > DEVELOPMENT_LIMITS.pathsMax) return null;
  if (![...removed, ...puts.map(place)].every(isChangePath)) return null;
  if (puts.reduce((sum, path) => sum + bytesOf(now.get(path)), 0) > DEVELOPMENT_LIMITS.changeMaxBytes) return null;
  const gone = new Set(changes.gone);
  for (const known of before.keys()) if (gone.has(known) || isBelowOne(known, gone)) after.delete(known);
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  const add = (...more: Buffer[]): void => {
    chunks.push(...more);
    for (const chunk of more) sizeBytes += chunk.length;
  };
  const entry = (one: Pick<TarEntry, 'kind' | 'name'> & Partial<TarEntry>, content: Buffer = Buffer.alloc(0)): void =>
    add(
      ...tarHeader({ mode: 0o644, owner: 0, target: '', ...one, sizeBytes: content.length }),
      content,
      tarPadding(content.length),
    );
  if (removed.length > 0) entry({ kind: 'file', name: REMOVED_ENTRY }, Buffer.from(`${removed.join('\n')}\n`));
  if (restart) entry({ kind: 'file', name: RESTART_ENTRY });
  entry({ kind: 'folder', name: FILES_ENTRY, mode: 0o755 });
  let isOutdated = false;
  for (const path of puts) {
    const name = `${FILES_ENTRY}/${place(path)}`;
    const read = readEntry(join(root, path), now.get(path));
    if (read === null) {
      isOutdated = true;
      after.delete(path);
      continue;
    }
    const { found, content } = read;
    if (found.kind === 'file')
      entry({ kind: 'file', name, mode: found.mode, mtimeSeconds: Math.floor(found.mtimeMs / 1_000) }, content);
    else if (found.kind === 'link') entry({ kind: 'link', name, mode: 0o777, target: found.target });
    else entry({ kind: 'folder', name, mode: 0o755 });
    after.set(path, found);
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1))
      after.set(path.slice(0, at), { kind: 'folder' });
    if (sizeBytes > DEVELOPMENT_LIMITS.changeMaxBytes) return null;
  }
  add(tarEnd());
  return sizeBytes > DEVELOPMENT_LIMITS.changeMaxBytes ? null : { body: Buffer.concat(chunks), after, isOutdated };
}

function bytesOf(entry: TreeEntry | undefined): number {
  return entry?.kind === 'file' ? entry.sizeBytes : 0;
}

/** Null: it is not there any more as what it was. */
function readEntry(file: string, wanted: TreeEntry | undefined): { found: TreeEntry; content: Buffer } | null {
  const none = Buffer.alloc(0);
  try {
    if (wanted?.kind === 'link') return { found: { kind: 'link', target: readlinkSync(file) }, content: none };
    if (wanted?.kind === 'folder')
      return lstatSync(file).isDirectory() ? { found: { kind: 'folder' }, content: none } : null;
    const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(fd);
      // Grown since it was looked at: the next look knows it.
      if (!stats.isFile() || stats.size > DEVELOPMENT_LIMITS.changeMaxBytes) return null;
      const content = readFileSync(fd);
      const found = { mode: stats.mode & 0o777, mtimeMs: stats.mtimeMs, sizeBytes: content.length };
      return { found: { kind: 'file', ...found, sha1: hash('sha1', content) }, content };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return null;
    throw error;
  }
}
