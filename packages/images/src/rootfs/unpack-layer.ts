/**
 * Lays one layer of a root filesystem over what lies in a folder already, as OCI's image spec says (layer.md): later entries take the place of earlier ones,
 * `.wh.NAME` removes a name of the layers below, `.wh..wh..opq` all of a folder. Unlike an app's layer (archive/untar.ts) it has links as Linux has them,
 * absolute ones too: so each name is walked part by part, and a link on the way is followed within the folder only. Nobody else may write there meanwhile.
 *
 * Left out: the tar's own owners, setuid bits, device nodes, times. All of a stack is ours, which nobody changes; all of an image is its app's, which runs as one
 * user of this machine and finds whatever the image has given to several.
 */
import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { finished, type Readable } from 'node:stream';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { extract, type Header } from 'tar-stream';
import { folderWithin } from './within.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

export interface UnpackOptions {
  /** It is an image's: modes stay as they are but for setuid and setgid, and all belongs to `owner`, or, where that is null, to us. Absent: it is a stack's. */
  ofImage?: { owner: number | null };
  /** Of its files. Absent: whoever has added the stack knows its size. */
  maxBytes?: number;
}

/** More than any image has; bounds what is remembered here (ours). */
const ENTRIES_MAX = 2_000_000;

/**
 * Answers how many bytes its files have.
 * @throws ArchiveRefusedError for what is no tar, leads out of the folder, or is too large; errors of the source and of the disk as they are.
 */
export async function unpackLayer(source: Readable, folder: string, options: UnpackOptions = {}): Promise<number> {
  const { maxBytes = Number.POSITIVE_INFINITY } = options;
  const unpack = extract();
  finished(source, error => {
    if (error) unpack.destroy(error);
  });
  source.pipe(unpack);
  /** What this layer has made: its own opaque mark removes only what was there before. */
  const made = new Set<string>();
  let entries = 0;
  let bytes = 0;
  // The root itself is a folder that an image may give a mode.
  own(folder, options);
  try {
    for await (const entry of unpack) {
      const { header } = entry;
      const path = cleanName(header.name);
      bytes += header.size ?? 0;
      if (bytes > maxBytes || ++entries > ENTRIES_MAX)
        throw new ArchiveRefusedError(header.name, 'is one more than the room for an image holds');
      if (path !== '') await place(folder, path, { header, content: entry as AsyncIterable<Buffer>, made, options });
      entry.resume();
    }
    return bytes;
  } catch (error) {
    source.unpipe(unpack);
    unpack.destroy();
    source.destroy();
    if (source.errored) throw source.errored;
    if (!(error instanceof Error) || error instanceof ArchiveRefusedError || 'code' in error) throw error;
    throw new ArchiveRefusedError('(archive)', `cannot be read as a tar: ${error.message}`);
  }
}

interface Entry {
  header: Header;
  content: AsyncIterable<Buffer>;
  made: Set<string>;
  options: UnpackOptions;
}

async function place(folder: string, path: string, { header, content, made, options }: Entry): Promise<void> {
  const parent = realFolder(folder, dirname(path), options);
  const name = posix.basename(path);
  const target = join(parent, name);
  if (name === OPAQUE) {
    for (const child of readdirSync(parent)) if (!made.has(join(parent, child))) remove(join(parent, child));
    return;
  }
  if (name.startsWith(WHITEOUT)) return remove(join(parent, hidden(path, name)));
  const mode = (header.mode ?? 0o644) & (options.ofImage === undefined ? 0o755 : 0o1777);
  const before = lstatSync(target, { throwIfNoEntry: false });
  if (header.type === 'directory') {
    if (before !== undefined && !before.isDirectory()) remove(target);
    if (before?.isDirectory() !== true) mkdirSync(target);
    // A stack is read by every app.
    chmodSync(target, mode | 0o700);
    own(target, options);
  } else if (header.type === 'symlink' || header.type === 'link' || isFile(header)) {
    if (before !== undefined) remove(target);
    if (header.type === 'symlink') symlinkSync(header.linkname ?? '', target);
    else if (header.type === 'link') linkSync(existing(folder, path, header.linkname ?? ''), target);
    else await writeFile(target, content, options.ofImage === undefined ? mode : mode | 0o200);
    own(target, options);
  } else return; // A device, a FIFO: nothing that a stack needs.
  made.add(target);
}

/** The name that a whiteout takes away: one in its own folder. */
function hidden(path: string, name: string): string {
  const rest = name.slice(WHITEOUT.length);
  if (rest === '' || rest === '.' || rest === '..') throw new ArchiveRefusedError(path, 'leaves the archive');
  return rest;
}

/** Never through a link: what it leads to is another entry's. */
function own(path: string, { ofImage }: UnpackOptions): void {
  if (ofImage !== undefined && ofImage.owner !== null) lchownSync(path, ofImage.owner, ofImage.owner);
}

function isFile({ type }: Header): boolean {
  return type === 'file' || type === 'contiguous-file';
}

function existing(folder: string, path: string, linkname: string): string {
  const cleaned = cleanName(linkname);
  const target = join(realFolder(folder, dirname(cleaned)), posix.basename(cleaned));
  const seen = lstatSync(target, { throwIfNoEntry: false });
  if (seen === undefined || !(seen.isFile() || seen.isSymbolicLink()))
    throw new ArchiveRefusedError(path, `is a hard link to "${linkname}", which is no file of it`);
  return target;
}

/** Without `.`, empty parts and a leading slash; '' is the root itself. */
function cleanName(name: string): string {
  const parts = name.split('/').filter(part => part !== '' && part !== '.');
  if (parts.includes('..') || name.includes('\0')) throw new ArchiveRefusedError(name, 'leaves the archive');
  return parts.join('/');
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** The folder that `path` stands for; what is not there yet is made. */
function realFolder(root: string, path: string, options: UnpackOptions = {}): string {
  const found = folderWithin(root, path, { make: true, made: folder => own(folder, options) });
  if (found === null)
    throw new ArchiveRefusedError(path, 'lies below a file, or below links that lead round in a ring');
  return found;
}

async function writeFile(path: string, content: AsyncIterable<Buffer>, mode: number): Promise<void> {
  const fd = openSync(path, 'wx', 0o600);
  try {
    for await (const chunk of content) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
  } finally {
    closeSync(fd);
  }
  chmodSync(path, mode | 0o400);
}
