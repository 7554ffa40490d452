/**
 * Files that an app keeps open for writing inside its own folder: an SQLite database, a store of uploads. They are gone at its next restart, which people
 * find out when it is too late; said once, after the first start of what was pushed.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { descendants } from './listening.ts';

const APP = '/home/vcap/app/';
/** What nobody misses: caches, logs, marks of running processes. */
const HARMLESS = /\/(?:node_modules|\.cache|__pycache__|log|logs|tmp)\/|\.(?:log|pid|lock|sock|tmp)$/;
/** `open` for writing, of the access mode in fdinfo's flags (Linux: fcntl.h). */
const ACCESS_MODE = 0o3;
const FILES_MAX = 5;

/** Paths below the app's folder, in order, at most {@link FILES_MAX}; empty when nothing can be seen. */
export async function lostFiles(pid: number): Promise<string[]> {
  const found = await Promise.all((await descendants(pid)).map(writtenBy));
  return [...new Set(found.flat())].sort().slice(0, FILES_MAX);
}

async function writtenBy(pid: number): Promise<string[]> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []); // Ended meanwhile, or not ours to look at.
  const paths = await Promise.all(
    fds.map(async fd => {
      const path = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (!isLost(path)) return [];
      const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
      const flags = Number.parseInt(/^flags:\s+([0-7]+)/m.exec(info)?.[1] ?? '0', 8);
      return (flags & ACCESS_MODE) === 0 ? [] : [path.slice(APP.length)];
    }),
  );
  return paths.flat();
}

export function isLost(path: string): boolean {
  return path.startsWith(APP) && !HARMLESS.test(path) && !path.endsWith(' (deleted)');
}
