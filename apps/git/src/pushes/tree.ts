/**
 * The files of a pushed commit, as they are in git: neither attributes nor filters of the tree change a byte, and nothing is written that an upload of such
 * names would be refused for. Links are made last, and none leads out.
 */
import { closeSync, constants, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { createPlan } from '@cupola/archive/plan';
import { safePath } from '@cupola/archive/zip-read';
import { ArchiveRefusedError } from '@cupola/model/errors';
import type { GitSubmoduleRule } from '@cupola/model/git-rules';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { WordedError } from '@cupola/push/failures';
import { ended, type Git, type GitProcess } from '../git-process.ts';

export interface PushedCommit {
  /** Path of the bare repository. */
  readonly repository: string;
  readonly commit: string;
  /** Where git finds what it has just received. */
  readonly environment: Record<string, string>;
}

export interface WrittenTree {
  readonly files: number;
  readonly bytes: number;
  /** Folders that stay empty since they are other repositories. */
  readonly submodules: readonly string[];
}

interface Blob {
  readonly path: string;
  readonly sha: string;
  readonly sizeBytes: number;
  readonly mode: '100644' | '100755' | '120000';
}

const GIB = 1024 ** 3;
/** A pointer is three short lines (git-lfs, docs/spec.md). */
const LFS_MAX_BYTES = 1_024;
const LFS_START = 'version https://git-lfs.github.com/spec/';
const NAMED_MAX = 3;

/** Writes the tree into `folder`, which is there and empty. @throws WordedError when it cannot be deployed, with what to do. */
export async function writeTree(
  git: Git,
  pushed: PushedCommit,
  { folder, submodules: rule }: { folder: string; submodules: GitSubmoduleRule },
): Promise<WrittenTree> {
  const { blobs, submodules } = await listTree(git, pushed);
  if (submodules.length > 0 && rule === 'refuse')
    throw new WordedError(`The tree has submodules, which are not fetched: ${some(submodules)}.`, {
      next: 'Put their files into this repository (git subtree add), or leave those folders empty: cupola git:config APP --submodules skip',
    });
  try {
    const pointers = await writeBlobs(git, pushed, { folder, blobs });
    if (pointers.length > 0)
      throw new WordedError(`The tree has Git LFS pointers in the place of files: ${some(pointers)}.`, {
        next: 'Cupola keeps no LFS objects. Put the files into git (git lfs migrate export --include="*" --everything), or push the folder: cupola push',
      });
  } catch (error) {
    if (error instanceof ArchiveRefusedError)
      throw new WordedError(`The tree cannot be deployed: ${error.message}`, {
        next: 'Mend it, commit, and push again.',
      });
    throw error;
  }
  for (const path of submodules) mkdirSync(join(folder, path), { recursive: true });
  return { files: blobs.length, bytes: blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), submodules };
}

function some(paths: readonly string[]): string {
  const rest = paths.length - NAMED_MAX;
  return `${paths.slice(0, NAMED_MAX).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** Names and sizes of the whole tree: read, and refused, before a byte is written. */
async function listTree(
  git: Git,
  { repository, commit, environment }: PushedCommit,
): Promise<{ blobs: Blob[]; submodules: string[] }> {
  const child = git.start(
    [`--git-dir=${repository}`, 'ls-tree', '-r', '-l', '-z', '--full-tree', '--end-of-options', commit],
    {
      environment,
    },
  );
  child.stdin.end();
  child.stderr.resume();
  const over = ended(child);
  over.catch(() => undefined); // Awaited below.
  const blobs: Blob[] = [];
  const submodules: string[] = [];
  let totalBytes = 0;
  for await (const line of splitNul(child)) {
    const [, mode = '', , sha = '', size = '', path = ''] =
      /^(\d{6}) (\w+) ([0-9a-f]+) +(-|\d+)\t(.*)$/s.exec(line) ?? [];
    if (mode === '160000') submodules.push(path);
    else if (mode === '100644' || mode === '100755' || mode === '120000') {
      const sizeBytes = Number(size);
      totalBytes += sizeBytes;
      blobs.push({ path, sha, sizeBytes, mode });
    } else throw new ArchiveRefusedError(path, `is neither a file nor a link (mode ${mode})`);
    if (blobs.length > PUSH_LIMITS.entriesMax)
      throw new WordedError(`The tree has more than ${PUSH_LIMITS.entriesMax} files.`, {
        next: 'Push what the app needs to run, and no more.',
      });
    if (totalBytes > PUSH_LIMITS.unpackedMaxBytes)
      throw new WordedError(`The files of the tree are more than ${PUSH_LIMITS.unpackedMaxBytes / GIB} GiB.`, {
        next: 'Push what the app needs to run, and no more.',
      });
  }
  if ((await over) !== 0) throw new Error(`git ls-tree cannot read ${commit}`);
  return { blobs, submodules };
}

async function* splitNul({ stdout }: GitProcess): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(0, start); end >= 0; end = rest.indexOf(0, start)) {
      yield rest.toString('utf8', start, end);
      start = end + 1;
    }
    rest = rest.subarray(start);
  }
}

/** Returns the paths of LFS pointers. */
async function writeBlobs(
  git: Git,
  { repository, environment }: PushedCommit,
  { folder, blobs }: { folder: string; blobs: readonly Blob[] },
): Promise<string[]> {
  const plan = createPlan({ entriesMax: PUSH_LIMITS.entriesMax });
  const child = git.start([`--git-dir=${repository}`, 'cat-file', '--batch'], { environment });
  child.stderr.resume();
  child.stdin.on('error', () => undefined); // It has ended: its end says so.
  const over = ended(child);
  over.catch(() => undefined); // Awaited below.
  Readable.from(blobs.map(({ sha }) => `${sha}\n`)).pipe(child.stdin);
  const source = createSource(child.stdout);
  const pointers: string[] = [];
  for (const blob of blobs) {
    const path = safePath(blob.path);
    if (path.split('/').some(isGitFolder)) throw new ArchiveRefusedError(path, 'lies in a folder of git’s own');
    const [sha, type, size] = (await source.line()).split(' ');
    if (sha !== blob.sha || type !== 'blob' || Number(size) !== blob.sizeBytes)
      throw new Error(`git has ${type ?? 'nothing'} where ${path} should be`);
    if (blob.mode === '120000') {
      if (blob.sizeBytes > PUSH_LIMITS.pathMaxBytes) throw new ArchiveRefusedError(path, 'is a link that is too long');
      const target = (await source.bytes(blob.sizeBytes)).toString('utf8');
      for (const made of plan.addLink(path, target)) mkdirSync(join(folder, made));
    } else {
      for (const made of plan.addFile(path)) mkdirSync(join(folder, made));
      if (await writeFile(source, join(folder, path), blob)) pointers.push(path);
    }
    await source.bytes(1); // The line break behind each.
  }
  if ((await over) !== 0) throw new Error('git cat-file did not end in order');
  for (const [path, target] of plan.checkedLinks()) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    symlinkSync(target, join(folder, path));
  }
  return pointers;
}

const isGitFolder = (name: string): boolean => /^(\.git|git~1)$/i.test(name);

/** Returns whether it is an LFS pointer. */
async function writeFile(source: Source, file: string, { sizeBytes, mode }: Blob): Promise<boolean> {
  const fd = openSync(
    file,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    mode === '100755' ? 0o755 : 0o644,
  );
  try {
    let start = '';
    for (let left = sizeBytes; left > 0; ) {
      const piece = await source.some(left);
      if (sizeBytes <= LFS_MAX_BYTES) start += piece.toString('latin1');
      for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at);
      left -= piece.length;
    }
    return start.startsWith(LFS_START);
  } finally {
    closeSync(fd);
  }
}

interface Source {
  line(): Promise<string>;
  bytes(count: number): Promise<Buffer>;
  /** What is there, and not more than `most`. */
  some(most: number): Promise<Buffer>;
}

/** Reads a stream piece by piece. @throws when it ends early. */
function createSource(stream: Readable): Source {
  const chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  const more = async (): Promise<void> => {
    const { value, done } = await chunks.next();
    if (done === true) throw new Error('git ended in the middle of a file');
    rest = rest.length === 0 ? value : Buffer.concat([rest, value]);
  };
  const take = (count: number): Buffer => {
    const taken = rest.subarray(0, count);
    rest = rest.subarray(count);
    return taken;
  };
  return {
    line: async () => {
      while (!rest.includes(10)) await more();
      const text = take(rest.indexOf(10)).toString('utf8');
      take(1);
      return text;
    },
    bytes: async count => {
      while (rest.length < count) await more();
      return take(count);
    },
    some: async most => {
      if (rest.length === 0) await more();
      return take(Math.min(most, rest.length));
    },
  };
}
