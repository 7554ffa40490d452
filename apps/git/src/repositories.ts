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
  /** After a push: packs are put together when there are many of them. */
  tidy(appGuid: string): Promise<void>;
}

/** Not pushed to for so long: removed. */
const KEPT_MS = 90 * 24 * 3_600_000;
/** Of a push that was killed. */
const LEFT_MS = 3_600_000;
const PACKS_MAX = 30;
const EMPTY = 'empty';
const GUID = /^[0-9a-f-]{36}$/;

export function openRepositories(git: Git, folder: string): Repositories {
  const root = join(folder, 'repositories');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  sweep(root);
  const making = new Map<string, Promise<string>>();

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
  return {
    root,
    open: async appGuid => {
      if (!GUID.test(appGuid)) throw new Error(`${appGuid} is no guid`);
      const path = await open(appGuid);
      const now = new Date();
      utimesSync(path, now, now);
      return path;
    },
    empty: () => open(EMPTY),
    tidy: async appGuid => {
      const path = join(root, `${appGuid}.git`);
      const packs = readdirSync(join(path, 'objects', 'pack')).filter(name => name.endsWith('.pack'));
      if (packs.length > PACKS_MAX) await runGit(git, [`--git-dir=${path}`, 'gc', '--quiet', '--prune=1.hour.ago']);
    },
  };
}

/** What nobody has pushed to for long, and what a killed push has left. */
function sweep(root: string): void {
  for (const name of readdirSync(root)) {
    const path = join(root, name);
    const idleMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (name.includes('.new-') || (idleMs > KEPT_MS && name !== `${EMPTY}.git`))
      rmSync(path, { recursive: true, force: true });
    else if (existsSync(join(path, 'objects')))
      for (const left of readdirSync(join(path, 'objects')).filter(one => one.startsWith('tmp_objdir')))
        if (Date.now() - statSync(join(path, 'objects', left)).mtimeMs > LEFT_MS)
          rmSync(join(path, 'objects', left), { recursive: true, force: true });
  }
}
