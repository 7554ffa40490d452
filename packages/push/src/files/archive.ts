/** The zip of what the server lacks: sorted entries, fixed times, so that the same files give the same bytes. */
import { join } from 'node:path';
import { createZip, type NewEntry } from '@cupola/archive/zip-create';
import type { Walked, WalkedFile } from './walk.ts';

const FOLDER_MODE = 0o755;
const LINK_MODE = 0o777;

interface Content {
  readonly files: readonly WalkedFile[];
  readonly links: Walked['links'];
  readonly emptyFolders: readonly string[];
}

/** Writes `content` of `root` to `zipFile`, which must not be there. */
export async function writeZip(root: string, content: Content, zipFile: string): Promise<void> {
  await createZip(zipFile, entriesOf(root, content));
}

function* entriesOf(root: string, { files, links, emptyFolders }: Content): Iterable<NewEntry> {
  for (const { path, mode } of files) yield { kind: 'file', path, mode, file: join(root, path) };
  for (const { path, target } of links) yield { kind: 'link', path, mode: LINK_MODE, target };
  for (const path of emptyFolders) yield { kind: 'folder', path, mode: FOLDER_MODE };
}
