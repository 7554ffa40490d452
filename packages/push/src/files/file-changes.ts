/** Pure: which files of a folder differ from what was pushed of it last, by path and content. */
import type { PushedFolder } from './pushed-folder.ts';
import type { Walked } from './walk.ts';

export interface FileChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** A mode is content too: a script that may run now is another one. Links are in no memory of a push: they are sent each time, and not compared. */
export function fileChanges(former: Pick<PushedFolder, 'files'>, walked: Pick<Walked, 'files'>): FileChanges {
  const added: string[] = [];
  const changed: string[] = [];
  const here = new Set<string>();
  for (const { path, sha1, sizeBytes, mode } of walked.files) {
    here.add(path);
    const before = former.files.get(path);
    if (before === undefined) added.push(path);
    else if (before.sha1 !== sha1 || before.sizeBytes !== sizeBytes || before.mode !== mode) changed.push(path);
  }
  return { added, changed, removed: [...former.files.keys()].filter(path => !here.has(path)) };
}
