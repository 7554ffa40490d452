/** One sandbox that a shim keeps: the port's object over its folder. Made by `launch` and, for what a former agent left, by `adopt`. */
import { execFile } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Cgroup } from './cgroups.ts';
import { followOutput } from './output.ts';
import type { Rung } from './rungs.ts';
import type { RunningSandbox, SandboxExit } from './sandbox.ts';
import { order, readExit, type ShimState, shimEnded } from './shim-folder.ts';

const run = promisify(execFile);
/** What is left of a sandbox is killed again each time, until nothing is: so long at most. */
const KILL_REST_MS = 5_000;
const LOOK_MS = 10;
/** The shim's child, bwrap's own child, the app's init, and one to spare. */
const CHAIN_MAX = 4;

export interface Kept {
  rung: Rung;
  folder: string;
  guid: string;
  cgroup: Cgroup | null;
  state: ShimState;
}

export function running(kept: Kept): RunningSandbox {
  const { folder, guid, cgroup, state } = kept;
  let over = false;
  // Looked at while it runs: with its parent gone nobody can tell whose pid 1 it was.
  const chain = chainOf(state);
  const ended = shimEnded(folder).then(async (): Promise<SandboxExit> => {
    const exit = readExit(folder);
    await killRest(kept, chain);
    over = true;
    if (exit === null) return { code: null, signal: null, outOfMemory: false, lost: true, atMs: Date.now() };
    // The init hands a signal on as 128 + n, as shells do.
    const signal = exit.signal !== 0 ? exit.signal : exit.code > 128 && exit.code <= 192 ? exit.code - 128 : null;
    return {
      code: signal === null ? exit.code : null,
      signal,
      outOfMemory: signal === 9 && exit.oomKills > 0,
      lost: false,
      atMs: exit.atMs,
    };
  });
  const pid = (): number | null => (over ? null : (chain.at(-1)?.pid ?? null));
  return {
    guid,
    startedMs: state.startedMs,
    get pid() {
      return pid();
    },
    output: from => followOutput(folder, from, ended),
    ended,
    terminate: async () => void order(folder, 'T'),
    kill: async () => {
      order(folder, 'K');
      cgroup?.kill();
    },
    usage: async () => ({
      ...(cgroup?.usage() ?? { cpuSeconds: 0, memoryBytes: 0 }),
      diskBytes: await diskUsage(folder, pid()),
    }),
    remove: () => removeAll(kept),
  };
}

export interface HostProcess {
  pid: number;
  /** As /proc/PID/stat has it: with the pid it names one process. */
  start: string;
}

/** The shim's child; below bwrap, its own, pid 1 of the app's namespace, whose end is the end of all in there; then the app's init. */
function chainOf({ childPid, childStart }: ShimState): HostProcess[] {
  const chain = [{ pid: childPid, start: childStart }];
  for (let at = childPid; chain.length < CHAIN_MAX; at = chain.at(-1)?.pid ?? 0)
    try {
      if (readFileSync(`/proc/${at}/comm`, 'utf8').trim() !== 'bwrap') return chain;
      const next = Number(readFileSync(`/proc/${at}/task/${at}/children`, 'utf8').split(' ')[0]);
      const start = next ? readStat(next)?.[19] : undefined;
      if (start === undefined) return chain;
      chain.push({ pid: next, start });
    } catch {
      return chain; // It has just ended.
    }
  return chain;
}

/** Nothing should outlive its init and its shim; where a rung has no tie between them (runc, plain process) a shim that was killed leaves an app behind. */
async function killRest(
  { cgroup, rung, state }: Pick<Kept, 'cgroup' | 'rung' | 'state'>,
  chain: readonly HostProcess[],
): Promise<void> {
  const until = performance.now() + KILL_REST_MS;
  for (;;) {
    cgroup?.kill();
    const left = rung.kind === 'process' ? groupOf(state.childPid) : chain.filter(runs).map(({ pid }) => pid);
    for (const pid of left) kill(pid);
    if ((left.length === 0 && (cgroup?.pids() ?? []).length === 0) || performance.now() > until) return;
    await new Promise(done => setTimeout(done, LOOK_MS));
  }
}

/** Fields of /proc/PID/stat from the state on; null when it is gone, or has ended and nobody has reaped it. */
export function readStat(pid: number | string): string[] | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : fields;
  } catch {
    return null;
  }
}

/** Whether that very process still runs: its pid may be another's by now, which has begun later. */
export const runs = ({ pid, start }: HostProcess): boolean => readStat(pid)?.[19] === start;

/** What runs in a process group. */
function groupOf(leader: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && readStat(name)?.[2] === String(leader))
    .map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone by itself.
  }
}

/** Of an image as the app would see it, else of the files. */
export async function diskUsage(folder: string, pid: number | null): Promise<number> {
  if ((await stat(join(folder, 'disk.img')).catch(() => null)) !== null) {
    const seen = pid === null ? null : await statfs(`/proc/${pid}/root/tmp`).catch(() => null);
    return seen === null ? 0 : (seen.blocks - seen.bfree) * seen.bsize;
  }
  const entries = await readdir(join(folder, 'disk'), { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries)
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => null))?.size ?? 0;
  return bytes;
}

/** Folder, control group, and what the tool keeps elsewhere. Idempotent. */
export async function removeAll({ cgroup, folder, guid, rung }: Omit<Kept, 'state'>): Promise<void> {
  const forget = rung.forget(guid, folder);
  // It fails where it knows nothing of the container any more: then there is nothing to forget.
  if (forget !== null) await run(forget[0] ?? '', forget.slice(1)).catch(() => undefined);
  await cgroup?.remove();
  removeFolder(folder);
}

/** However closed what is in it. Idempotent. */
export function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    openFolders(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  }
}

/** An ordinary user's app, and the kernel's overlay, leave folders that even their owner may not list. */
function openFolders(folder: string): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) openFolders(join(folder, entry.name));
}
