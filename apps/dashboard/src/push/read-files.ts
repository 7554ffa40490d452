/** The files of what was dropped or chosen: a folder with all that is in it, or one zip, jar or war as it is. What `.cfignore` names stays at home, as with cf. */
import { readIgnoreRules } from '@cupola/push/files/ignore';

export interface ChosenFile {
  /** Relative to the folder, with slashes. */
  path: string;
  file: File;
}
export type Chosen =
  | { kind: 'archive'; name: string; file: File }
  /** `manifest`: the text of its manifest.yml, null without one. */
  | { kind: 'folder'; name: string; files: ChosenFile[]; manifest: string | null };

const ARCHIVE = /\.(zip|jar|war)$/i;
/** CF's own limit for files of a package. */
const FILES_MAX = 100_000;

/** @throws Error with a sentence for the user. */
export async function readDropped(items: DataTransferItemList): Promise<Chosen> {
  // The list is empty once the event is over: every entry is taken now.
  const entries = [...items].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null);
  const [entry] = entries;
  if (entry === undefined || entries.length > 1) throw new Error('Drop one folder, or one zip, jar or war.');
  if (entry.isFile) return archiveOf(await fileOf(entry as FileSystemFileEntry));
  const files: ChosenFile[] = [];
  await walk(entry as FileSystemDirectoryEntry, '', files);
  return folderOf(entry.name, files);
}

/** Of `<input type=file>`, with or without `webkitdirectory`. @throws Error with a sentence for the user. */
export async function readChosen(list: FileList): Promise<Chosen> {
  const files = [...list];
  const [first] = files;
  if (first === undefined) throw new Error('Nothing was chosen.');
  if (first.webkitRelativePath === '') return archiveOf(first);
  const [root = ''] = first.webkitRelativePath.split('/');
  return folderOf(
    root,
    files.map(file => ({ path: file.webkitRelativePath.slice(root.length + 1), file })),
  );
}

function archiveOf(file: File): Chosen {
  if (!ARCHIVE.test(file.name))
    throw new Error('One file alone has to be a zip, a jar or a war. For other files, drop their folder.');
  return { kind: 'archive', name: file.name.replace(ARCHIVE, ''), file };
}

async function folderOf(name: string, all: ChosenFile[]): Promise<Chosen> {
  const listed = all.find(({ path }) => path === '.cfignore');
  const rules = readIgnoreRules(listed === undefined ? null : await listed.file.text());
  const files = all.filter(({ path }) => !rules.ignores(path)).toSorted((a, b) => (a.path < b.path ? -1 : 1));
  if (files.length === 0) throw new Error('That folder has no files to push.');
  if (files.length > FILES_MAX) throw new Error(`That folder has ${files.length} files; ${FILES_MAX} may be pushed.`);
  const manifest = all.find(({ path }) => path === 'manifest.yml' || path === 'manifest.yaml');
  return { kind: 'folder', name, files, manifest: manifest === undefined ? null : await manifest.file.text() };
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> =>
  new Promise((resolve, reject) => {
    entry.file(resolve, reject);
  });

async function walk(folder: FileSystemDirectoryEntry, prefix: string, found: ChosenFile[]): Promise<void> {
  const reader = folder.createReader();
  for (;;) {
    // Chromium gives a hundred at a time, and nothing at the end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (entries.length === 0) return;
    for (const entry of entries) {
      const path = `${prefix}${entry.name}`;
      // What no rule brings back is not walked: a repository's own folder is larger than the rest.
      if (entry.name === '.git') continue;
      if (entry.isDirectory) await walk(entry as FileSystemDirectoryEntry, `${path}/`, found);
      else found.push({ path, file: await fileOf(entry as FileSystemFileEntry) });
    }
  }
}
