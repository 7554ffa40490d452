/**
 * Unpacks a zip into an empty folder that nobody else can reach, after its whole directory was judged (zip-read.ts). Counts what really comes out and never
 * trusts what headers say; files are made with O_EXCL, links last, when nothing is written any more. What it refuses leaves an empty folder behind.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { createPlan } from './plan.ts';
import { type FileWindow, openWindow } from './window.ts';
import { readContent } from './zip-content.ts';
import { dataOffset, NAMES_MAX, readEntries, type ZipEntry } from './zip-read.ts';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * @param limits.unpackedMaxBytes of all files together, as they come out.
 * @throws ArchiveRefusedError naming the entry and the rule; errors of the disk as they are.
 */
export async function unzip(
  path: string,
  folder: string,
  { unpackedMaxBytes }: { unpackedMaxBytes: number },
): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    const file = openWindow(fd);
    const entries = await readEntries(file);
    // All that can be known of links is known before anything is written.
    const links = await checkedLinks(file, entries);
    await layOut(file, entries, { folder, unpackedMaxBytes });
    for (const [name, target] of links) symlinkSync(target, join(folder, name));
  } catch (error) {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** The links of an archive with their targets. @throws ArchiveRefusedError for one that is absolute or leads out of the archive, also by way of others. */
export async function checkedLinks(
  file: FileWindow,
  entries: readonly ZipEntry[],
): Promise<Array<[path: string, target: string]>> {
  if (!entries.some(({ kind }) => kind === 'link')) return [];
  const plan = createPlan({ entriesMax: NAMES_MAX });
  for (const { path, kind } of entries) if (kind === 'folder') plan.addFolder(path);
  for (const { path, kind } of entries) if (kind === 'file') plan.addFile(path);
  for (const entry of entries.filter(({ kind }) => kind === 'link')) {
    const pieces: Buffer[] = [];
    await readContent(file, entry, {
      start: dataOffset(file, entry),
      take: piece => void pieces.push(Buffer.from(piece)),
    });
    plan.addLink(entry.path, Buffer.concat(pieces).toString('utf8'));
  }
  return plan.checkedLinks();
}

async function layOut(
  file: FileWindow,
  entries: readonly ZipEntry[],
  { folder, unpackedMaxBytes }: { folder: string; unpackedMaxBytes: number },
): Promise<void> {
  const made = new Set<string>(['.']);
  const makeFolder = (name: string): void => {
    if (made.has(name)) return;
    makeFolder(dirname(name));
    made.add(name);
    mkdirSync(join(folder, name), { mode: 0o755 });
  };
  let left = unpackedMaxBytes;
  for (const entry of entries) {
    makeFolder(entry.kind === 'folder' ? entry.path : dirname(entry.path));
    if (entry.kind !== 'file') continue;
    const taken = (bytes: number): void => {
      left -= bytes;
      if (left < 0)
        throw new ArchiveRefusedError(entry.path, `makes the app larger than ${unpackedMaxBytes} bytes unpacked`);
    };
    await writeFile(file, entry, { target: join(folder, entry.path), taken });
  }
}

async function writeFile(
  file: FileWindow,
  entry: ZipEntry,
  { target, taken }: { target: string; taken(bytes: number): void },
): Promise<void> {
  const out = openSync(target, NEW_FILE, 0o600);
  try {
    const take = (piece: Buffer): void => {
      taken(piece.length);
      for (let at = 0; at < piece.length; ) at += writeSync(out, piece, at);
    };
    await readContent(file, entry, { start: dataOffset(file, entry), take });
    fchmodSync(out, entry.mode);
  } finally {
    closeSync(out);
  }
}
