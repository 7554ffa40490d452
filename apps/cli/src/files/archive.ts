/** The zip of what the server lacks: sorted entries, fixed times, so that the same files give the same bytes. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ZipArchive } from 'archiver';
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
export async function writeZip(root: string, { files, links, emptyFolders }: Content, zipFile: string): Promise<void> {
  const archive = new ZipArchive({ zlib: { level: 6 } });
  const written = pipeline(archive, createWriteStream(zipFile, { mode: 0o600 }));
  // A failure shows at both ends; the pipeline's is the one that is awaited.
  archive.on('warning', error => archive.destroy(error));
  for (const { path, mode } of files) archive.file(join(root, path), { name: path, mode, date: TIME });
  for (const { path, target } of links) archive.symlink(path, target, LINK_MODE);
  for (const path of emptyFolders)
    archive.append('', { name: `${path}/`, type: 'directory', mode: FOLDER_MODE, date: TIME });
  await Promise.all([archive.finalize(), written]);
}
