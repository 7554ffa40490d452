/**
 * A bare repository for each app, in a folder named by the app's guid: what users call things is in no path. They are a cache: what was deployed is the
 * platform's, and whoever pushes next brings what is missing.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type Git, runGit } from './git-process.ts';

export interface Repositories {
  /** Folder of all repositories. */
  readonly root: string;
  /** The app's, made if need be. */
  open(appGuid: string): Promise<string>;
  /** One without anything in it: what an app has that is not there yet. */
  empty(): Promise<string>;
  /**
   * What changes which commits are shallow, one after another for each app: a fetch that finds another one has changed them meanwhile gives up. Locks that a
   * killed git has left are removed before.
   */
  alone<T>(appGuid: string, work: (repository: string) => Promise<T>): Promise<T>;
  /** After a push: packs are put together when there are many of them. */
  tidy(appGuid: string): Promise<void>;
}

/** Not pushed to for so long: removed. */
const KEPT_MS = 90 * 24 * 3_600_000;
/** Of a push that was killed. */
const LEFT_MS = 3_600_000;
/** git holds a lock while it writes, or checks what it has received; only a fetch, which is alone, does so for longer (ours). */
const LOCKED_MS = 60_000;
const PACKS_MAX = 30;
const EMPTY = 'empty';
/** Hidden from who clones from here. */
const OWN_REFS = 'refs/cupola';
/** What was last fetched of an app's own branch: the next fetch brings what is new. */
export const FETCHED = `${OWN_REFS}/fetched`;
/** Of a preview, and a guid: there while it is fetched. */
const PREVIEW_REF = 'fetched-';
export const fetchedForPreview = (guid: string): string => `${OWN_REFS}/${PREVIEW_REF}${guid}`;
const GUID = /^[0-9a-f-]{36}$/;

export function openRepositories(git: Git, folder: string): Repositories {
  const root = join(folder, 'repositories');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  sweep(root);
  const making = new Map<string, Promise<string>>();
  const last = new Map<string, Promise<unknown>>();

  const make = async (name: string): Promise<string> => {
    const path = join(root, `${name}.git`);
    if (!existsSync(path)) {
      // Whole or not at all: a kill in the middle leaves a folder that the sweep removes.
      const fresh = join(root, `${name}.new-${process.pid}`);
      rmSync(fresh, { recursive: true, force: true });
      await runGit(git, ['init', '--quiet', '--bare', '--template=', '--initial-branch=main', fresh]);
      renameSync(fresh, path);
    }
    return path;
  };
  const open = (name: string): Promise<string> => {
    const known = making.get(name) ?? make(name).finally(() => making.delete(name));
    making.set(name, known);
    return known;
  };
  const openApp = async (appGuid: string): Promise<string> => {
    if (!GUID.test(appGuid)) throw new Error(`${appGuid} is no guid`);
    const path = await open(appGuid);
    const now = new Date();
    utimesSync(path, now, now);
    return path;
  };
  const alone: Repositories['alone'] = (appGuid, work) => {
    const mine = (last.get(appGuid) ?? Promise.resolve()).then(async () => {
      const path = await openApp(appGuid);
      removeLocks([path, join(path, OWN_REFS)], Date.now() - LOCKED_MS);
      return work(path);
    });
    const over = mine
      .catch(() => undefined)
      .then(() => {
        if (last.get(appGuid) === over) last.delete(appGuid);
      });
    last.set(appGuid, over);
    return mine;
  };
  return {
    root,
    open: openApp,
    alone,
    empty: () => open(EMPTY),
    tidy: async appGuid => {
      const path = join(root, `${appGuid}.git`);
      const packs = readdirSync(join(path, 'objects', 'pack')).filter(name => name.endsWith('.pack'));
      if (packs.length > PACKS_MAX)
        await alone(appGuid, () => runGit(git, [`--git-dir=${path}`, 'gc', '--quiet', '--prune=1.hour.ago']));
    },
  };
}

/** What nobody has pushed to for long, and what killed pushes and fetches have left. No git runs here yet. */
function sweep(root: string): void {
  for (const name of readdirSync(root)) {
    const path = join(root, name);
    const idleMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (name.includes('.new-') || (idleMs > KEPT_MS && name !== `${EMPTY}.git`))
      rmSync(path, { recursive: true, force: true });
    else if (existsSync(join(path, 'objects'))) {
      const refs = readdirSync(join(path, 'refs'), { recursive: true, withFileTypes: true });
      const folders = refs.filter(one => one.isDirectory()).map(one => join(one.parentPath, one.name));
      removeLocks([path, join(path, 'refs'), ...folders], Number.POSITIVE_INFINITY);
      for (const left of namesIn(join(path, OWN_REFS)).filter(one => one.startsWith(PREVIEW_REF)))
        rmSync(join(path, OWN_REFS, left), { force: true });
      for (const left of readdirSync(join(path, 'objects')).filter(one => one.startsWith('tmp_objdir')))
        if (Date.now() - statSync(join(path, 'objects', left)).mtimeMs > LEFT_MS)
          rmSync(join(path, 'objects', left), { recursive: true, force: true });
    }
  }
}

/** Those that have not been written to since. git takes no lock that is there, whoever has left it. */
function removeLocks(folders: readonly string[], beforeMs: number): void {
  for (const folder of folders)
    for (const name of namesIn(folder).filter(one => one.endsWith('.lock'))) {
      const path = join(folder, name);
      const writtenMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
      if (writtenMs < beforeMs) rmSync(path, { force: true });
    }
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
