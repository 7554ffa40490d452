/**
 * One launcher for all rungs: the instance folder, limits, disk and network are shared code; a rung adds only its command line. What is started here lives
 * on without us, under its shim; `adoptFolder` finds it again.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { prepare } from './prepare.ts';
import { allRungs } from './rungs.ts';
import { removeAll, running } from './running.ts';
import { type RunningSandbox, SandboxError, type SandboxSpec } from './sandbox.ts';
import {
  order,
  readExit,
  readGroup,
  readOrNull,
  readRung,
  readState,
  type ShimState,
  shimEnded,
} from './shim-folder.ts';
import { COMPLAINTS, comeUp, type LauncherOptions, type Spares, type WaitingShim } from './waiting-shim.ts';

/** A sandbox that does not run by then hangs: a mount on a dead disk, a tool that waits for something (ours; a slow machine needs under a second). */
const START_MS = 30_000;

export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return ''; // Not Linux: a boot leaves nothing that runs anyway.
  }
}

/** Starts a sandbox. Throws SandboxError when no app code ran; nothing is left behind then. */
export async function launch(
  options: LauncherOptions,
  spec: SandboxSpec,
  spares: Spares | null = null,
): Promise<RunningSandbox> {
  const { guid } = spec;
  const folder = join(options.folder, guid);
  if (existsSync(folder)) throw new SandboxError(`there is a sandbox ${guid} already`);
  const stackRoot = spec.stackRoot ?? null;
  const isImage = spec.image !== undefined;
  if (isImage && !options.rung.hasRoot)
    throw new SandboxError("an image needs a sandbox: a plain process has this machine's own root");
  if (stackRoot !== null && !options.rung.hasRoot)
    throw new SandboxError(
      'only the stack "host" runs without a sandbox: a plain process has this machine\'s own root',
    );
  const kept = { rung: options.rung, folder, guid, cgroup: options.cgroups?.find(guid) ?? null };
  try {
    // What is kept ahead stands on the host.
    const spare = stackRoot === null && !isImage ? (spares?.take(folder, spec.limits.diskMb) ?? null) : null;
    const shim = spare ?? comeUp(options, { folder, group: guid, stackRoot, isImage });
    kept.cgroup = shim.cgroup;
    const state = await begin(options, spec, shim);
    if (state === null && spare !== null && readExit(folder) === null) {
      // It had been killed while it waited: not this sandbox's fault.
      await removeAll(kept);
      return await launch(options, spec);
    }
    if (state === null) throw new SandboxError(whyNot(folder));
    return running({ ...kept, state });
  } catch (error) {
    kept.cgroup?.kill();
    await removeAll(kept);
    throw error instanceof SandboxError
      ? error
      : new SandboxError(`the sandbox could not be set up: ${(error as Error).message}`, { cause: error });
  }
}

/** Fills the shim's folder and lets it go on. Null: it ended before any app code ran. However this ends without a state, the shim has ended too. */
async function begin(options: LauncherOptions, spec: SandboxSpec, shim: WaitingShim): Promise<ShimState | null> {
  const late = setTimeout(() => shim.process.kill('SIGKILL'), START_MS);
  try {
    shim.cgroup?.limit(spec.limits);
    await prepare(options, spec, shim);
    shim.process.stdin?.end('\n');
    return await startedOrEnded(shim.folder, shim.ended);
  } catch (error) {
    shim.process.kill('SIGKILL');
    await shim.ended;
    throw error;
  } finally {
    clearTimeout(late);
    shim.process.unref();
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
  const kept = { rung, folder, guid, cgroup: options.cgroups?.find(readGroup(folder) ?? guid) ?? null };
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
