/**
 * Lays one layer of a root filesystem over what lies in a folder already, as OCI's image spec says (layer.md): later entries take the place of earlier ones,
 * `.wh.NAME` removes a name of the layers below, `.wh..wh..opq` all of a folder. Unlike an app's layer (archive/untar.ts) it has links as Linux has them,
 * absolute ones too: so each name is walked part by part, and a link on the way is followed within the folder only. Nobody else may write there meanwhile.
 *
 * Left out: owners (all is the stack's, which nobody changes), setuid bits, device nodes, times.
 */
import {
  chmodSync,
  closeSync,
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

/** @throws ArchiveRefusedError for what is no tar, or leads out of the folder; errors of the source and of the disk as they are. */
export async function unpackLayer(source: Readable, folder: string): Promise<void> {
  const unpack = extract();
  finished(source, error => {
    if (error) unpack.destroy(error);
  });
  source.pipe(unpack);
  /** What this layer has made: its own opaque mark removes only what was there before. */
  const made = new Set<string>();
  try {
    for await (const entry of unpack) {
      const { header } = entry;
      const path = cleanName(header.name);
      if (path !== '') await place(folder, path, { header, content: entry as AsyncIterable<Buffer>, made });
      entry.resume();
    }
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
}

async function place(folder: string, path: string, { header, content, made }: Entry): Promise<void> {
  const parent = realFolder(folder, dirname(path));
  const name = posix.basename(path);
  const target = join(parent, name);
  if (name === OPAQUE) {
    for (const child of readdirSync(parent)) if (!made.has(join(parent, child))) remove(join(parent, child));
    return;
  }
  if (name.startsWith(WHITEOUT)) return remove(join(parent, name.slice(WHITEOUT.length)));
  const mode = (header.mode ?? 0o644) & 0o755;
  const before = lstatSync(target, { throwIfNoEntry: false });
  if (header.type === 'directory') {
    if (before !== undefined && !before.isDirectory()) remove(target);
    if (before?.isDirectory() !== true) mkdirSync(target);
    // A stack is read by every app.
    chmodSync(target, mode | 0o700);
  } else if (header.type === 'symlink' || header.type === 'link' || isFile(header)) {
    if (before !== undefined) remove(target);
    if (header.type === 'symlink') symlinkSync(header.linkname ?? '', target);
    else if (header.type === 'link') linkSync(existing(folder, path, header.linkname ?? ''), target);
    else await writeFile(target, content, mode);
  } else return; // A device, a FIFO: nothing that a stack needs.
  made.add(target);
}

function isFile({ type }: Header): boolean {
  return type === 'file' || type === 'contiguous-file';
}

function existing(folder: string, path: string, linkname: string): string {
  const cleaned = cleanName(linkname);
  const target = join(realFolder(folder, dirname(cleaned)), posix.basename(cleaned));
  if (lstatSync(target, { throwIfNoEntry: false })?.isFile() !== true)
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
function realFolder(root: string, path: string): string {
  const found = folderWithin(root, path, { make: true });
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
