/** Pure: what a folder holds, by path, and what has changed between two looks at it. */
import type { DevelopmentChanges } from '@cupola/model/development-rule';
import type { Walked } from '@cupola/push/files/walk';

export type TreeEntry =
  | {
      readonly kind: 'file';
      readonly sha1: string;
      readonly mode: number;
      readonly mtimeMs: number;
      readonly sizeBytes: number;
    }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'folder' };
export type Tree = ReadonlyMap<string, TreeEntry>;

/**
 * Neither watched nor compared: packages and compiled files, by the ten thousand, that a build makes where the app runs, and settings of editors. They go with a
 * push, as .cfignore has it, and whoever changes packages changes a file that names them.
 */
export const UNSEEN = new Set(['node_modules', '__pycache__', '.venv', 'venv', '.idea', '.vscode']);
/** What editors keep beside a file while it is open, or for a moment as they save: vim, Emacs, JetBrains, GNOME. */
const OF_EDITORS = /^(?:4913|\.#.*|#.*#|.*~|\..*\.sw[a-z]|.*___jb_(?:tmp|old|bak)___|\.goutputstream-.*)$/;

function isUnseen(name: string): boolean {
  return UNSEEN.has(name) || OF_EDITORS.test(name);
}

/** With each folder. What is not compared is left out. */
export function treeOf({ files, links, emptyFolders }: Pick<Walked, 'files' | 'links' | 'emptyFolders'>): Tree {
  const tree = new Map<string, TreeEntry>();
  const put = (path: string, entry: TreeEntry): void => {
    const parts = path.split('/');
    const hidden = parts.findIndex(isUnseen);
    if (hidden < 0) tree.set(path, entry);
    for (let depth = 1; depth < (hidden < 0 ? parts.length : hidden + 1); depth++) {
      const folder = parts.slice(0, depth).join('/');
      if (!tree.has(folder)) tree.set(folder, { kind: 'folder' });
    }
  };
  for (const { path, sha1, mode, mtimeMs, sizeBytes } of files)
    put(path, { kind: 'file', sha1, mode, mtimeMs, sizeBytes });
  for (const { path, target } of links) put(path, { kind: 'link', target });
  for (const path of emptyFolders) put(path, { kind: 'folder' });
  return tree;
}

export interface TreeChanges extends DevelopmentChanges {
  /** To be taken away first: the topmost of what is gone, and what became another kind of thing. */
  readonly gone: readonly string[];
}

/** `isSure`: false where a file of `before` may not be what its SHA-1 says, so that another time is a change too. */
export function treeChanges(before: Tree, now: Tree, { isSure = true }: { isSure?: boolean } = {}): TreeChanges {
  const added: string[] = [];
  const changed: string[] = [];
  const gone = new Set<string>();
  const filled = foldersWithEntries(now);
  for (const [path, entry] of now) {
    const former = before.get(path);
    if (former !== undefined && former.kind !== entry.kind) gone.add(path);
    if (entry.kind === 'folder' && (former?.kind === 'folder' || filled.has(path))) continue;
    if (former === undefined) added.push(path);
    else if (!isSame(former, entry, isSure)) changed.push(path);
  }
  const removed: string[] = [];
  const filledBefore = foldersWithEntries(before);
  for (const [path, { kind }] of before) {
    if (now.has(path)) continue;
    gone.add(path);
    if (kind !== 'folder' || !filledBefore.has(path)) removed.push(path);
  }
  return { added, changed, removed, gone: [...gone].filter(path => !isBelowOne(path, gone)) };
}

export function hasChanges({ added, changed, removed }: DevelopmentChanges): boolean {
  return added.length + changed.length + removed.length > 0;
}

function isSame(before: TreeEntry, now: TreeEntry, isSure: boolean): boolean {
  if (before.kind === 'file' && now.kind === 'file')
    return before.sha1 === now.sha1 && before.mode === now.mode && (isSure || before.mtimeMs === now.mtimeMs);
  if (before.kind === 'link' && now.kind === 'link') return before.target === now.target;
  return before.kind === now.kind;
}

function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

function foldersWithEntries(tree: Tree): ReadonlySet<string> {
  return new Set([...tree.keys()].map(parentOf));
}

/** Whether one of `folders` is a folder above it. */
export function isBelowOne(path: string, folders: ReadonlySet<string>): boolean {
  for (let at = parentOf(path); at !== ''; at = parentOf(at)) if (folders.has(at)) return true;
  return false;
}
