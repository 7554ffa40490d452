/**
 * One launcher for all rungs: the instance folder, limits, disk and network are shared code; a rung adds only its command line. What is started here lives
 * on without us, under its shim; `adoptFolder` finds it again.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Cgroup, Cgroups } from './cgroups.ts';
import { makeImage } from './disk.ts';
import { etcFiles, hostRoot } from './host-root.ts';
import type { Rung } from './rungs.ts';
import { type RunningSandbox, SandboxError, type SandboxExit, type SandboxSpec } from './sandbox.ts';
import { followOutput, order, readExit, readState, type ShimState, shimEnded } from './shim-folder.ts';
import { formatEnvironment, formatShimSpec, type ShimSpec } from './spec-file.ts';

export interface LauncherOptions {
  /** Holds one folder for each sandbox. */
  folder: string;
  rung: Rung;
  cgroups: Cgroups | null;
  /** Started as root: own uids, loop images. */
  privileged: boolean;
  /** Loop images work here. */
  imageDisks: boolean;
  /** Compiled seccomp filter; null where the rung takes none. */
  seccompFile: string | null;
  /** An empty folder that any uid may reach; each sandbox mounts its root there, in its own namespace. */
  rootMount: string;
}

const HERE = import.meta.dirname;
const SHIM = join(HERE, 'shim.pl');
const BOOT = ((): string => {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
})();

/** Starts a sandbox. Throws SandboxError when no app code ran; nothing is left behind then. */
export async function launch(options: LauncherOptions, spec: SandboxSpec): Promise<RunningSandbox> {
  const folder = join(options.folder, spec.guid);
  const cgroup = options.cgroups?.create(spec.guid, spec.limits) ?? null;
  try {
    await prepare(options, spec, folder, cgroup);
    const shim = spawn('perl', [SHIM, folder], {
      detached: true,
      stdio: 'ignore',
      cwd: '/',
      env: { PATH: process.env.PATH ?? '' },
    });
    const exited = new Promise<void>(resolve => {
      shim.once('error', () => resolve());
      shim.once('exit', () => resolve());
    });
    shim.unref();
    const state = await startedOrEnded(folder, exited);
    if (state === null) throw new SandboxError(whyNot(folder));
    return running({ options, folder, guid: spec.guid, cgroup, state });
  } catch (error) {
    removeAll(folder, cgroup);
    throw error instanceof SandboxError
      ? error
      : new SandboxError(`the sandbox could not be set up: ${(error as Error).message}`, { cause: error });
  }
}

async function prepare(
  options: LauncherOptions,
  spec: SandboxSpec,
  folder: string,
  cgroup: Cgroup | null,
): Promise<void> {
  const { rung, privileged } = options;
  const disk = join(folder, 'disk');
  const files = join(folder, 'files');
  const owner = privileged ? spec.uid : undefined;
  mkdirSync(disk, { recursive: true, mode: 0o700 });
  if (!privileged) mkdirSync(join(folder, 'root'), { recursive: true });
  for (const [path, text] of Object.entries({ ...etcFiles(spec.guid), ...spec.files })) {
    mkdirSync(dirname(join(files, path)), { recursive: true });
    writeFileSync(join(files, path), text, { mode: 0o644 });
  }
  const environment = join(folder, 'environment');
  writeFileSync(environment, formatEnvironment(spec.environment).text, { mode: 0o400 });
  if (owner !== undefined) chownSync(environment, owner, owner);
  // Another platform on this machine may have removed it at its end: it is always empty, seen from outside.
  if (privileged) mkdirSync(options.rootMount, { recursive: true, mode: 0o755 });
  const root = privileged ? options.rootMount : join(folder, 'root');
  const shimSpec: ShimSpec = {
    arch: process.arch === 'arm64' ? 'arm64' : 'x64',
    uidmap: rung.hasRoot && !privileged,
    noNewPrivileges: rung.name === 'bwrap' || rung.name === 'process',
    disk,
    cgroups: cgroup?.joinFiles ?? [],
    logRate: spec.logRateBytesPerSecond,
    argv: rung.argv(spec, { root, privileged, pivot: join(HERE, 'pivot.sh'), seccomp: options.seccompFile !== null }),
    ...(rung.hasRoot
      ? { root, ...hostRoot(spec, { disk, files, init: join(HERE, 'init.sh'), environment }) }
      : { folders: [], links: [], mounts: [] }),
    ...(owner === undefined ? {} : { owner }),
    // The util-linux rung needs root until its own setpriv.
    ...(privileged && rung.name !== 'util-linux' ? { uid: spec.uid } : {}),
    ...(spec.network.kind === 'namespace' ? { netns: `/run/netns/${spec.network.name}` } : {}),
    ...(cgroup?.oomFile == null ? {} : { oom: cgroup.oomFile }),
    ...(options.seccompFile !== null && rung.takesSeccomp ? { seccomp: options.seccompFile } : {}),
    ...(options.imageDisks && rung.hasRoot ? { image: join(folder, 'disk.img') } : {}),
  };
  if (shimSpec.image !== undefined) await makeImage(shimSpec.image, spec.limits.diskMb);
  writeFileSync(join(folder, 'spec'), formatShimSpec(shimSpec), { mode: 0o600 });
  chmodSync(folder, 0o700);
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
  const said = [exit?.why, printed.trim()].filter(Boolean).join('; ');
  return `the sandbox could not be set up: ${said === '' ? 'its shim ended at once (is perl installed?)' : said}`;
}

interface Known {
  options: LauncherOptions;
  folder: string;
  guid: string;
  cgroup: Cgroup | null;
  state: ShimState;
}

function running({ options, folder, guid, cgroup, state }: Known): RunningSandbox {
  let over = false;
  const ended = shimEnded(folder).then(async (): Promise<SandboxExit> => {
    const exit = readExit(folder);
    await killRest(cgroup);
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
  return {
    guid,
    startedMs: state.startedMs,
    get pid() {
      return over ? null : innermost(state.childPid);
    },
    output: from => followOutput(folder, from, ended),
    ended,
    terminate: async () => void order(folder, 'T'),
    kill: async () => {
      order(folder, 'K');
      await killRest(cgroup);
    },
    usage: async () => ({
      ...(cgroup?.usage() ?? { cpuSeconds: 0, memoryBytes: 0 }),
      diskBytes: await diskUsage(options, folder),
    }),
    remove: async () => removeAll(folder, cgroup),
  };
}

/** Down the chain of first children: shim's child (bwrap, unshare), their own, then the app's init. */
function innermost(pid: number): number {
  let at = pid;
  for (let depth = 0; depth < 6; depth++) {
    try {
      const comm = readFileSync(`/proc/${at}/comm`, 'utf8').trim();
      if (!['bwrap', 'unshare', 'setpriv'].includes(comm)) return at;
      const next = Number(readFileSync(`/proc/${at}/task/${at}/children`, 'utf8').split(' ')[0]);
      if (!next) return at;
      at = next;
    } catch {
      return at; // It has just ended.
    }
  }
  return at;
}

/** What outlived its init, or its shim: nothing should, but a kill -9 of the shim on a rung without a tie must not leave an app behind. */
async function killRest(cgroup: Cgroup | null): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const pids = cgroup?.pids() ?? [];
    if (pids.length === 0) return;
    for (const pid of pids)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself.
      }
    await new Promise(done => setTimeout(done, 10));
  }
}

async function diskUsage({ imageDisks }: LauncherOptions, folder: string): Promise<number> {
  if (imageDisks) return ((await stat(join(folder, 'disk.img')).catch(() => null))?.blocks ?? 0) * 512;
  const names = await readdir(join(folder, 'disk'), { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const name of names)
    if (name.isFile()) bytes += (await stat(join(name.parentPath, name.name)).catch(() => null))?.size ?? 0;
  return bytes;
}

function removeAll(folder: string, cgroup: Cgroup | null): void {
  cgroup?.remove();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}

/** One folder that a former agent left: what runs or has ended is handed back; what never began is cleaned away (null). */
export function adoptFolder(options: LauncherOptions, guid: string): RunningSandbox | null {
  const folder = join(options.folder, guid);
  const cgroup = options.cgroups?.find(guid) ?? null;
  const state = readState(folder);
  if (state === null) {
    order(folder, 'K');
    for (const pid of cgroup?.pids() ?? [])
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself.
      }
    removeAll(folder, cgroup);
    return null;
  }
  // Another boot: nothing of it runs, and its FIFO has no writer, so `ended` resolves at once.
  if (state.boot !== BOOT) rmSync(join(folder, 'alive'), { force: true });
  return running({ options, folder, guid, cgroup, state });
}

/** Guids of all folders, oldest first. */
export function knownGuids(folder: string): string[] {
  return readdirSync(folder)
    .map(name => ({ name, born: statSync(join(folder, name)).ctimeMs }))
    .sort((a, b) => a.born - b.born)
    .map(({ name }) => name);
}
