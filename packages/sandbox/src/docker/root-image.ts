/**
 * What a container's root begins as: folders and links, no file. Everything else is mounted into it, so the image is a few KB, is made here, and pulled from
 * nowhere. Its name says what is in it: one for each layout of a stack, shared by all platforms of an engine.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { type TarEntry, tarEnd, tarHeader } from '@cupola/archive/tar-bytes';
import type { Furniture } from '../spec-file.ts';

/** The repository of all of them. */
export const ROOT_IMAGES = 'cupola-root';

export interface RootImage {
  name: string;
  tar: Buffer;
}

/** @param points folders for mounts that come later. */
export function rootImage(
  { folders, links }: Pick<Furniture, 'folders' | 'links'>,
  points: readonly string[],
): RootImage {
  const all = new Set([...folders, ...points].flatMap(withParents));
  const entries = [...all]
    .sort()
    .map(path => entry('folder', path, ''))
    .concat(links.map(({ path, target }) => entry('link', path, target)));
  const tar = Buffer.concat([...entries.flatMap(each => [...tarHeader(each)]), tarEnd()]);
  const digest = createHash('sha256').update(tar).digest('hex').slice(0, 16);
  return { name: `${ROOT_IMAGES}:${digest}`, tar };
}

const entry = (kind: 'folder' | 'link', path: string, target: string): TarEntry => ({
  kind,
  name: path.slice(1),
  mode: kind === 'link' ? 0o777 : 0o755,
  owner: 0,
  sizeBytes: 0,
  target,
});

function withParents(path: string): string[] {
  return path === '/' ? [] : [...withParents(dirname(path)), path];
}
