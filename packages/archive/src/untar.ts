/**
 * Lays a layer's tar out on disk (threats.md rows 1, 2 and 4). What it keeps true, whatever the tar says:
 *
 * - nothing is written outside the folder: no absolute name, no `..`, no name below a link;
 * - a name stands for one thing: files are made with O_EXCL, links are made last, when nothing is written any more;
 * - a link is relative and leads nowhere but into the folder, also by way of other links;
 * - files, folders and symbolic links only; no setuid, setgid or sticky bit, nothing writable by group or others.
 *
 * Left out on purpose: times, extended attributes, the tar's own owners. Called by the agent, once for each layer, on a folder that nobody else can reach;
 * when it throws, the caller removes the folder. The tar's digest is the caller's to check.
 */
import {
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  lchownSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { finished, type Readable } from 'node:stream';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { extract, type Header } from 'tar-stream';
import { createPlan } from './plan.ts';

/** More than any droplet has inodes for several times over: bounds what is remembered here. */
const ENTRIES_MAX = 1_000_000;

export interface UntarOptions {
  /** Who owns what is laid out, so that it may change its own files. Absent: we ourselves, and everyone may read. */
  owner?: { uid: number; gid: number };
}

/**
 * Unpacks a plain tar into `folder`, which exists and is empty.
 * @throws ArchiveRefusedError naming the entry and the rule; errors of the source and of the disk as they are.
 */
export async function untar(source: Readable, folder: string, options: UntarOptions = {}): Promise<void> {
  const plan = createPlan({ entriesMax: ENTRIES_MAX });
  const unpack = extract();
  finished(source, error => {
    if (error) unpack.destroy(error);
  });
  source.pipe(unpack);
  try {
    for await (const entry of unpack) {
      const { header } = entry;
      const path = safePath(header);
      if (header.type === 'directory') {
        for (const made of plan.addFolder(path)) makeFolder(join(folder, made), options, modeOf(header) | 0o100);
      } else if (header.type === 'symlink') {
        for (const made of plan.addLink(path, header.linkname ?? '')) makeFolder(join(folder, made), options, 0o755);
      } else {
        for (const made of plan.addFile(path)) makeFolder(join(folder, made), options, 0o755);
        await writeFile(join(folder, path), entry as AsyncIterable<Buffer>, options, modeOf(header));
      }
      // An entry of no length still has to be read to its end.
      entry.resume();
    }
  } catch (error) {
    source.unpipe(unpack);
    unpack.destroy();
    source.destroy();
    throw source.errored ?? asRefusal(error);
  }
  for (const [path, target] of plan.checkedLinks()) {
    symlinkSync(target, join(folder, path));
    if (options.owner) lchownSync(join(folder, path), options.owner.uid, options.owner.gid);
  }
}

/** What tar-stream itself says of a broken tar has no code; whatever has one (ENOSPC, say) is not the tar's fault. */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ArchiveRefusedError || 'code' in error) return error;
  return new ArchiveRefusedError('(archive)', `cannot be read as a tar: ${error.message}`);
}

/** The entry's name without empty and `.` parts; '' is the folder itself. @throws ArchiveRefusedError */
export function safePath({ name, type }: Header): string {
  const refuse = (rule: string): never => {
    throw new ArchiveRefusedError(name, rule);
  };
  if (type !== 'file' && type !== 'contiguous-file' && type !== 'directory' && type !== 'symlink')
    refuse(type === 'link' ? 'is a hard link' : `is a ${type ?? 'thing of unknown type'}, not a file, folder or link`);
  if (name.includes('\0')) refuse('has a NUL in its name');
  if (name.startsWith('/')) refuse('has an absolute name');
  if (Buffer.byteLength(name) > PUSH_LIMITS.pathMaxBytes * 4) refuse('has a name that is too long');
  const parts = name.split('/').filter(part => part !== '' && part !== '.');
  if (parts.includes('..')) refuse('leaves the archive by ".."');
  if (parts.length === 0 && type !== 'directory') refuse('has no name');
  return parts.join('/');
}

/** Without setuid, setgid and sticky, without write for others; the owner can always read and write. */
function modeOf({ mode }: Header): number {
  return ((mode ?? 0o644) & 0o755) | 0o600;
}

function makeFolder(path: string, { owner }: UntarOptions, mode: number): void {
  mkdirSync(path, { mode: owner ? mode : mode | 0o555 });
  if (owner) chownSync(path, owner.uid, owner.gid);
}

async function writeFile(
  path: string,
  content: AsyncIterable<Buffer>,
  { owner }: UntarOptions,
  mode: number,
): Promise<void> {
  const fd = openSync(path, 'wx', 0o600);
  try {
    // Piece by piece as it arrives, at most 64 KiB at once: thread-pool trips for each small file would take three times as long.
    for await (const chunk of content) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    if (owner) fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, owner ? mode : mode | 0o444);
  } finally {
    closeSync(fd);
  }
}
