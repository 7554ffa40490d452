/** An app's folder while it is developed: looked at as a push looks at it, each file hashed once while the disk says that it is as it was. */
import { hash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DevelopmentFolder } from '@cupola/model/development-rule';
import { type WalkedFile, walkFolder } from '@cupola/push/files/walk';
import { type Tree, treeOf, UNSEEN } from './tree.ts';

/** Of a file that says how an app is built or started. */
const TEXT_MAX_BYTES = 4 * 1024 * 1024;

export interface Look {
  readonly tree: Tree;
  /** Absolute, with the folder itself. */
  readonly folders: readonly string[];
  readonly files: number;
  /** Of `.cfignore`; empty: none. */
  readonly ignore: string;
}

/** The folder itself is not there: no word of what is in it. */
export class FolderGoneError extends Error {
  override readonly name = 'FolderGoneError';
}

/** Something went while it was looked at. */
export class FolderChangingError extends Error {
  override readonly name = 'FolderChangingError';
}

/** Looks at a folder again and again. @throws FolderGoneError, FolderChangingError, and what the disk says otherwise. */
export function createLooks(root: string): () => Look {
  let former: ReadonlyMap<string, WalkedFile> = new Map();
  return () => {
    const folders: string[] = [];
    try {
      const walked = walkFolder(root, former, { without: UNSEEN, enters: folder => folders.push(join(root, folder)) });
      former = new Map(walked.files.map(file => [file.path, file]));
      const tree = treeOf(walked);
      // What was listed was there a moment ago; an empty folder in its place would be another one.
      if (!existsSync(root)) throw new FolderGoneError();
      return { tree, folders, files: walked.files.length, ignore: textOf(join(root, '.cfignore')) ?? '' };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
      throw existsSync(root) ? new FolderChangingError() : new FolderGoneError();
    }
  };
}

/** As the rule of development apps asks about a folder. A file that is not as `tree` says is no text that could be compared. */
export function folderView(root: string, tree: Tree): DevelopmentFolder {
  return {
    paths: new Set(tree.keys()),
    textOf: path => {
      const entry = tree.get(path);
      if (entry?.kind !== 'file' || entry.sizeBytes > TEXT_MAX_BYTES) return null;
      const text = textOf(join(root, path));
      return text === null || hash('sha1', text) !== entry.sha1 ? null : text;
    },
  };
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
