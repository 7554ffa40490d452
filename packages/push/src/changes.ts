/** What of a folder differs from the package that the last push of it made: the rest is neither asked for nor sent again. */
import type { BaseOfChanges } from '@cupola/contract/v3/package';
import type { FormerPackage, PushedFolder } from './files/pushed-folder.ts';
import type { Walked, WalkedFile } from './files/walk.ts';

/** True for a file that lies in the package as it lies here. */
export function staysIn(former: PushedFolder | null): (file: WalkedFile) => boolean {
  if (former === null || former.package === null) return () => false;
  return file => isSame(file, former.files.get(file.path));
}

function isSame(file: WalkedFile, before: WalkedFile | undefined): boolean {
  const { sha1, sizeBytes, mode } = file;
  if (file === before) return true;
  return before !== undefined && before.sha1 === sha1 && before.sizeBytes === sizeBytes && before.mode === mode;
}

export interface Base {
  readonly package: FormerPackage;
  /** As the upload names it. */
  readonly named: BaseOfChanges;
  /** Not in it, or not as they are here. Links are in none. */
  readonly files: readonly WalkedFile[];
  readonly emptyFolders: readonly string[];
}

/** Null: there is no such package, or nothing of it stays. */
export function baseOf(former: PushedFolder | null, walked: Walked): Base | null {
  if (former === null || former.package === null) return null;
  const stays = staysIn(former);
  const files = walked.files.filter(file => !stays(file));
  if (files.length === walked.files.length) return null;
  const changed = files.filter(({ path }) => former.files.has(path)).map(({ path }) => path);
  const foldersHere = new Set(walked.emptyFolders);
  const foldersBefore = new Set(former.emptyFolders);
  return {
    package: former.package,
    named: {
      guid: former.package.guid,
      checksum: former.package.checksum,
      without: [
        ...changed,
        ...goneFiles(former, walked, { stayed: walked.files.length - files.length + changed.length }),
        ...former.emptyFolders.filter(path => !foldersHere.has(path)),
      ],
    },
    files,
    emptyFolders: walked.emptyFolders.filter(path => !foldersBefore.has(path)),
  };
}

/** Mostly none are: that is told by their number. */
function goneFiles({ files }: PushedFolder, walked: Walked, { stayed }: { stayed: number }): string[] {
  if (stayed === files.size) return [];
  const here = new Set(walked.files.map(({ path }) => path));
  return [...files.keys()].filter(path => !here.has(path));
}
