/**
 * One launcher for all rungs: the instance folder, limits, disk and network are shared code; a rung adds only its command line. What is started here lives
 * on without us, under its shim; `adoptFolder` finds it again.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { Cgroup, Cgroups } from './cgroups.ts';
import { makeFolder, type PrepareOptions, prepare } from './prepare.ts';
import { allRungs, findTool } from './rungs.ts';
import { removeAll, running } from './running.ts';
import { type RunningSandbox, SandboxError, type SandboxSpec } from './sandbox.ts';
import { order, readExit, readOrNull, readRung, readState, type ShimState, shimEnded } from './shim-folder.ts';

export interface LauncherOptions extends PrepareOptions {
  /** Holds one folder for each sandbox. */
  folder: string;
  cgroups: Cgroups | null;
}

/** What the shim itself dies of, in the instance folder. */
const COMPLAINTS = 'shim.err';
const SHIM = join(import.meta.dirname, 'shim.pl');
/** A sandbox that does not run by then hangs: a mount on a dead disk, a tool that waits for something (ours; a slow machine needs under a second). */
const START_MS = 30_000;

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return ''; // Not Linux: a boot leaves nothing that runs anyway.
  }
}

/** Starts a sandbox. Throws SandboxError when no app code ran; nothing is left behind then. */
export async function launch(options: LauncherOptions, spec: SandboxSpec): Promise<RunningSandbox> {
  const { guid } = spec;
  const kept = { rung: options.rung, folder: join(options.folder, guid), guid, cgroup: null };
  let cgroup = options.cgroups?.find(guid) ?? null;
  try {
    makeFolder(kept.folder, options.rung);
    cgroup = options.cgroups?.create(guid, spec.limits) ?? null;
    const state = await startShim(options, { folder: kept.folder, cgroup }, () =>
      prepare(options, spec, { folder: kept.folder, cgroup }),
    );
    if (state === null) throw new SandboxError(whyNot(kept.folder));
    return running({ ...kept, cgroup, state });
  } catch (error) {
    cgroup?.kill();
    await removeAll({ ...kept, cgroup });
    throw error instanceof SandboxError
      ? error
      : new SandboxError(`the sandbox could not be set up: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Starts the shim, fills its folder meanwhile, and lets it go on. Null: it ended, or was ended, before any app code ran. However this ends without a state,
 * the shim has ended too.
 */
async function startShim(
  { rung, privileged }: LauncherOptions,
  { folder, cgroup }: { folder: string; cgroup: Cgroup | null },
  fill: () => Promise<void>,
): Promise<ShimState | null> {
  const complaints = openSync(join(folder, COMPLAINTS), 'a', 0o600);
  const userFirst = rung.hasRoot && !privileged ? '1' : '';
  const procs = rung.kind === 'detached' ? [] : (cgroup?.joinFiles ?? []);
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  const shim = spawn(findTool('perl') ?? 'perl', [SHIM, folder, arch, rung.kind, userFirst, ...procs], {
    detached: true,
    stdio: ['pipe', 'ignore', complaints],
    cwd: '/',
    env: { PATH: process.env.PATH ?? '' },
  });
  closeSync(complaints);
  shim.stdin?.on('error', () => undefined); // It has ended: told by its end.
  const exited = new Promise<void>(resolve => {
    shim.once('error', () => resolve());
    shim.once('exit', () => resolve());
  });
  const late = setTimeout(() => shim.kill('SIGKILL'), START_MS);
  try {
    await fill();
    shim.stdin?.end('\n');
    return await startedOrEnded(folder, exited);
  } catch (error) {
    shim.kill('SIGKILL');
    await exited;
    throw error;
  } finally {
    clearTimeout(late);
    shim.unref();
  }
}

/** Waits for the shim's `state` (the app's init runs) or its end. */
async function startedOrEnded(folder: string, exited: Promise<void>): Promise<ShimState | null> {
  const found = Promise.withResolvers<ShimState | null>();
  const look = (): void => {
    const state = readState(folder);
    if (state !== null) found.resolve(state);
  };
  const watcher = watch(folder, { persistent: true }, look);
  watcher.on('error', look);
  void exited.then(() => found.resolve(readState(folder)));
  look();
  try {
    return await found.promise;
  } finally {
    watcher.close();
  }
}

/** What the tools before the app complained of. */
function whyNot(folder: string): string {
  const exit = readExit(folder);
  const printed = readdirSync(folder)
    .filter(name => name.startsWith('log.'))
    .map(name => readFileSync(join(folder, name), 'latin1').replace(/^\d+ [oed] \d+\n/gm, ''))
    .join(' ');
  const said = [exit?.why, printed.trim(), readOrNull(join(folder, COMPLAINTS))?.trim()].filter(Boolean).join('; ');
  return `the sandbox could not be set up: ${said === '' ? 'its shim ended at once (is perl installed?)' : said}`;
}

/** One folder that a former agent left: what runs or has ended is handed back; what never began is cleaned away (null). */
export async function adoptFolder(options: LauncherOptions, guid: string): Promise<RunningSandbox | null> {
  const folder = join(options.folder, guid);
  const rung = allRungs().find(({ name }) => name === readRung(folder)) ?? options.rung;
  const kept = { rung, folder, guid, cgroup: options.cgroups?.find(guid) ?? null };
  // The agent may have died in the middle of a start, which goes on without it.
  const state = readState(folder) ?? (await startedOrEnded(folder, shimEnded(folder)));
  if (state === null) {
    order(folder, 'K');
    kept.cgroup?.kill();
    await removeAll(kept);
    return null;
  }
  // Another boot: nothing of it runs, and nobody holds its FIFO, so `ended` resolves at once.
  if (state.boot !== bootId()) rmSync(join(folder, 'alive'), { force: true });
  return running({ ...kept, state });
}

/** Guids of all folders, oldest first. */
export function knownGuids(folder: string): string[] {
  return readdirSync(folder)
    .map(name => ({ name, born: statSync(join(folder, name)).ctimeMs }))
    .sort((a, b) => a.born - b.born)
    .map(({ name }) => name);
}
