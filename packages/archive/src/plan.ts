/**
 * Which name of an archive stands for what, and where its links lead: the rules that tars and zips share (threats.md rows 1 and 2). Nothing is written here.
 * A name stands for one thing, nothing lies below a file or a link, and no link leads out of the archive, also by way of other links.
 */
import { posix } from 'node:path';
import { ArchiveRefusedError } from '@cupola/model/errors';

/** As many links in a row as the kernel follows. */
const LINKS_MAX = 40;

type Kind = 'file' | 'folder' | 'link';

export interface Plan {
  /** Each add returns the folders to make first, outermost first. */
  addFolder(path: string): string[];
  addFile(path: string): string[];
  addLink(path: string, target: string): string[];
  /** All links, each of which leads into the folder, or nowhere. */
  checkedLinks(): Array<[path: string, target: string]>;
}

/** Empty: only the root is there. */
export function createPlan({ entriesMax }: { entriesMax: number }): Plan {
  const kinds = new Map<string, Kind>([['', 'folder']]);
  const links = new Map<string, string>();
  /** Folders that came only as the parent of something: their own entry may still come. */
  const implied = new Set<string>(['']);

  const parents = (path: string): string[] => {
    const made: string[] = [];
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash);
      const kind = kinds.get(parent);
      if (kind === 'folder') continue;
      if (kind !== undefined) throw new ArchiveRefusedError(path, `lies below "${parent}", which is a ${kind}`);
      kinds.set(parent, 'folder');
      implied.add(parent);
      made.push(parent);
    }
    return made;
  };
  const add = (path: string, kind: Kind): string[] => {
    if (kinds.size >= entriesMax)
      throw new ArchiveRefusedError(path, `is one too many: at most ${entriesMax} are taken`);
    const made = parents(path);
    if (kinds.has(path)) throw new ArchiveRefusedError(path, 'is in the archive twice');
    kinds.set(path, kind);
    return made;
  };

  return {
    addFolder: path => {
      if (implied.delete(path)) return [];
      return [...add(path, 'folder'), path];
    },
    addFile: path => add(path, 'file'),
    addLink: (path, target) => {
      if (target === '' || target.includes('\0')) throw new ArchiveRefusedError(path, 'is a link to nothing');
      if (target.startsWith('/')) throw new ArchiveRefusedError(path, `is a link to the absolute path "${target}"`);
      const made = add(path, 'link');
      links.set(path, target);
      return made;
    },
    checkedLinks: () => {
      for (const [path, target] of links)
        if (leaves(path, target, links))
          throw new ArchiveRefusedError(path, `is a link out of the archive, to "${target}"`);
      return [...links];
    },
  };
}

/** Walks a link as the kernel would, over the archive's other links; true when any step is above the root. Loops lead nowhere. */
function leaves(path: string, target: string, links: Map<string, string>): boolean {
  let at = posix.dirname(path) === '.' ? [] : posix.dirname(path).split('/');
  const ahead = target.split('/').reverse();
  let followed = 0;
  for (let part = ahead.pop(); part !== undefined; part = ahead.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (at.length === 0) return true;
      at = at.slice(0, -1);
      continue;
    }
    at = [...at, part];
    const next = links.get(at.join('/'));
    if (next === undefined) continue;
    if (++followed > LINKS_MAX) return false;
    at = at.slice(0, -1);
    ahead.push(...next.split('/').reverse());
  }
  return false;
}
