/** The zip of what the server lacks: sorted entries, fixed times, so that the same files give the same bytes. */
import { createWriteStream, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ZipArchive, type ZipEntryData } from 'archiver';
import type { Walked, WalkedFile } from './walk.ts';

/** The earliest that a zip can say. */
const TIME = new Date('1980-01-01T00:00:00Z');
const FOLDER_MODE = 0o755;
const LINK_MODE = 0o777;

interface Content {
  readonly files: readonly WalkedFile[];
  readonly links: Walked['links'];
  readonly emptyFolders: readonly string[];
}

/** Writes `content` of `root` to `zipFile`. Compresses at level 6, as every zip tool does. */
export async function writeZip(root: string, content: Content, zipFile: string): Promise<void> {
  const archive = new ZipArchive({ zlib: { level: 6 } });
  const written = pipeline(archive, createWriteStream(zipFile, { mode: 0o600 }));
  archive.on('warning', error => archive.destroy(error));
  try {
    addEntries(archive, root, content);
    await Promise.all([archive.finalize(), written]);
  } catch (error) {
    archive.destroy();
    await written.catch(() => undefined); // The file is closed; why it is not whole is thrown below.
    throw error;
  }
}

function addEntries(archive: ZipArchive, root: string, { files, links, emptyFolders }: Content): void {
  for (const { path, mode } of files) {
    const file = join(root, path);
    // With its own lstat calls, four at a time, archiver would write the entries in the order in which those happen to end.
    archive.file(file, { name: path, mode, date: TIME, stats: lstatSync(file) });
  }
  for (const { path, target } of links) {
    // `archive.symlink()` takes no time and would stamp the entry with now; the types do not know `linkname`.
    const entry: ZipEntryData & { linkname: string } = {
      name: path,
      type: 'symlink',
      linkname: target,
      mode: LINK_MODE,
      date: TIME,
    };
    archive.append('', entry);
  }
  for (const path of emptyFolders)
    archive.append('', { name: `${path}/`, type: 'directory', mode: FOLDER_MODE, date: TIME });
}
