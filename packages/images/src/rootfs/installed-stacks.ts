/**
 * Stacks beside the machine's own, as they lie on disk (`DATA/stacks`): `NAME.DIGEST/` is a root filesystem, `index.json` says which are to be offered. A folder is never changed once it is named in the index: a stack of the same name that is added again gets a folder of its own, and the former
 * one goes when nothing stands on it any more.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const installedStack = z.object({
  name: z.string(),
  /** Below the folder of stacks. */
  folder: z.string(),
  digest: z.string(),
  abiKey: z.string(),
  description: z.string(),
  /** What it was made of, as `stack add` was told. */
  source: z.string().exactOptional(),
});
export type InstalledStack = z.infer<typeof installedStack>;

/** Those that are offered; empty where none was added. @throws Error for an index that cannot be read. */
export function readStacks(folder: string): InstalledStack[] {
  const file = join(folder, 'index.json');
  return existsSync(file) ? z.array(installedStack).parse(JSON.parse(readFileSync(file, 'utf8'))) : [];
}

/** Whole and durable: a kill leaves the old index or the new one. */
export function writeStacks(folder: string, stacks: readonly InstalledStack[]): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const file = join(folder, 'index.json');
  const fd = openSync(`${file}.new`, 'w', 0o644);
  writeSync(fd, `${JSON.stringify(stacks, null, 2)}\n`);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(`${file}.new`, file);
}

/** Removes what is in no index and under no process. Idempotent; returns the names of what went. */
export function pruneStacks(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const kept = new Set(readStacks(folder).map(stack => stack.folder));
  const gone = readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && !kept.has(entry.name))
    .map(({ name }) => name);
  if (gone.length === 0) return [];
  const mounted = mountsOfAll();
  const free = gone.filter(name => !mounted.includes(name));
  for (const name of free) rmSync(join(folder, name), { recursive: true, force: true });
  return free;
}

/** Every mount that any process has, as text: an instance sees its stack by mounts of its own. */
export function mountsOfAll(): string {
  const seen = new Set<string>();
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name)))
    try {
      seen.add(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
    } catch {
      // It has ended, or is another user's, who has none of our stacks.
    }
  return [...seen].join('');
}
