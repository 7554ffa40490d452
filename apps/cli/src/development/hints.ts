/**
 * Says when a look at some folders is worth while: something in one of them has changed, and nothing has for a moment; or nobody has looked for long, since a
 * hint may be lost. What has changed the look finds out.
 *
 * One watch of the kernel for each folder that is looked into, so that a folder left out costs nothing, and a file nothing either: Node's own recursive watch
 * on Linux, and chokidar, watch each file.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';

/** Editors write twice, git a whole tree: so long after the last hint a look finds it done. Ours; more would be felt. */
const QUIET_MS = 25;
/** Of hints without an end, so that what never rests is looked at too. */
const QUIET_MAX_MS = 300;

export interface Hints extends Disposable {
  /**
   * Watches exactly these folders, absolute, which may be gone. True when one of them is new: what has happened in it before was not heard.
   * @returns also null: the kernel takes no more watches, so somebody has to look by himself.
   */
  watch(folders: Iterable<string>): boolean | null;
  /** As if something had been heard. */
  hint(): void;
  /** Resolves to when the first hint was heard (performance.now()), once it is quiet; to null after `idleMs` without one. Rejects when `signal` is aborted. */
  next(idleMs: number, signal: AbortSignal): Promise<number | null>;
}

interface Watched {
  readonly watcher: FSWatcher;
  /** By which a folder of the same name is known to be another one. */
  readonly identity: string;
}

export function createHints(): Hints {
  const watched = new Map<string, Watched>();
  let firstMs: number | null = null;
  let heard = (): void => undefined;
  const hint = (): void => {
    firstMs ??= performance.now();
    heard();
  };
  const forget = (folder: string): void => {
    watched.get(folder)?.watcher.close();
    watched.delete(folder);
  };
  return {
    hint,
    watch: folders => {
      const wanted = new Set(folders);
      for (const folder of watched.keys()) if (!wanted.has(folder)) forget(folder);
      let isNew = false;
      for (const folder of wanted) {
        const stats = statSync(folder, { throwIfNoEntry: false });
        const identity = stats === undefined ? '' : `${stats.dev} ${stats.ino} ${stats.birthtimeMs}`;
        if (watched.get(folder)?.identity === identity) continue;
        forget(folder);
        if (stats === undefined) continue;
        try {
          const watcher = watch(folder, { persistent: true }, hint);
          watcher.on('error', () => {
            forget(folder);
            hint();
          });
          watched.set(folder, { watcher, identity });
          isNew = true;
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          if (code === 'ENOSPC' || code === 'EMFILE' || code === 'ENFILE') return null;
          // It has just gone: that is heard in the folder above.
          if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EACCES') throw error;
        }
      }
      return isNew;
    },
    next: (idleMs, signal) =>
      new Promise((resolve, reject) => {
        let timer: NodeJS.Timeout | undefined;
        const settle = (done: () => void): void => {
          clearTimeout(timer);
          heard = () => undefined;
          signal.removeEventListener('abort', aborted);
          done();
        };
        const aborted = (): void => settle(() => reject(signal.reason));
        const isQuiet = (): void => {
          const since = firstMs;
          firstMs = null;
          settle(() => resolve(since));
        };
        const wait = (): void => {
          clearTimeout(timer);
          if (firstMs === null) timer = setTimeout(() => settle(() => resolve(null)), idleMs);
          else timer = setTimeout(isQuiet, Math.max(0, Math.min(QUIET_MS, firstMs + QUIET_MAX_MS - performance.now())));
        };
        if (signal.aborted) return reject(signal.reason);
        signal.addEventListener('abort', aborted);
        heard = wait;
        wait();
      }),
    [Symbol.dispose]: () => {
      for (const folder of [...watched.keys()]) forget(folder);
    },
  };
}
