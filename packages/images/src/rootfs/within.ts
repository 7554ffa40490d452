/** Paths of a root filesystem that lies in a folder: its links are followed as if that folder were the root, never out of it. */
import { lstatSync, mkdirSync, readlinkSync } from 'node:fs';
import { join, posix, relative } from 'node:path';

/** As many links in a row as the kernel follows. */
const LINKS_MAX = 40;
const partsOf = (path: string): string[] => path.split('/').filter(part => part !== '' && part !== '.');

/**
 * The folder on this machine that `path` stands for below `root`. `make`: what is not there is made on the way, and `made` is told; without it that is null, as are files on the way and
 * links that lead round in a ring.
 */
export function folderWithin(
  root: string,
  path: string,
  { make, made }: { make: boolean; made?(folder: string): void },
): string | null {
  const left = partsOf(path);
  let at: string[] = [];
  for (let links = 0; left.length > 0; ) {
    const part = left.shift() ?? '';
    if (part === '..') {
      at.pop(); // As in the kernel: above the root is the root.
      continue;
    }
    const here = join(root, ...at, part);
    const seen = lstatSync(here, { throwIfNoEntry: false });
    if (seen?.isSymbolicLink()) {
      if (++links > LINKS_MAX) return null;
      const target = readlinkSync(here);
      if (target.startsWith('/')) at = [];
      left.unshift(...partsOf(target));
      continue;
    }
    if (seen === undefined && make) {
      mkdirSync(here, { mode: 0o755 });
      made?.(here);
    } else if (seen?.isDirectory() !== true) return null;
    at.push(part);
  }
  return join(root, ...at);
}

/** The file on this machine that `path` leads to below `root`; null where it leads to none. */
export function fileWithin(root: string, path: string): string | null {
  let at = path;
  for (let links = 0; links < LINKS_MAX; links++) {
    const parent = folderWithin(root, posix.dirname(at), { make: false });
    if (parent === null) return null;
    const here = join(parent, posix.basename(at));
    const seen = lstatSync(here, { throwIfNoEntry: false });
    if (seen?.isFile()) return here;
    if (!seen?.isSymbolicLink()) return null;
    const target = readlinkSync(here);
    at = target.startsWith('/') ? target : posix.join('/', relative(root, parent), target);
  }
  return null;
}
