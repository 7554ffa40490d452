/** One start: the instance folder, the container, what we mount and move into it, the word to go on. */
import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DiskTemplates } from '../disk.ts';
import { etcFiles, hostBase, ownMounts, stackBase } from '../host-root.ts';
import { ENVIRONMENT_INSIDE, hostnameOf } from '../inside.ts';
import { bootId } from '../launcher.ts';
import { gatewayOf, insideCommands } from '../network-place.ts';
import { ipBatch, ipBatchOf } from '../network-tools.ts';
import { environmentFiles, ownRoot } from '../prepare.ts';
import { readStat, removeFolder } from '../running.ts';
import { type RunningSandbox, SandboxError, type SandboxSpec } from '../sandbox.ts';
import { formatShimSpec } from '../spec-file.ts';
import { containerOptions, mountPoints, sealed, splitMounts } from './container-options.ts';
import type { ContainerEnd, Ends } from './ends.ts';
import { type ContainerFacts, type Engine, EngineError } from './engine.ts';
import { comeAsHost, type Guest, specFile } from './guest.ts';
import { type RootImage, rootImage } from './root-image.ts';
import { type ContainerState, writeState } from './state-file.ts';

/** What a container's first process has said is read in this time (ours; it takes a millisecond). */
const TOLD_MS = 1_000;
/** A sandbox that does not run by then hangs (as on every rung). */
const START_MS = 30_000;
/** Beside the spec, which the helper takes for a shim's: what was started by an engine is not for shims. */
const RUNG = 'rung';

export interface LaunchDeps {
  engine: Engine;
  ends: Ends;
  images: RootImages;
  /** Holds one folder for each sandbox. */
  folder: string;
  owner: string;
  installation: string;
  /** Where the engine finds our own files (`copyHostBase`); '': where we find them. */
  hostCopy: string;
  /** Null: disks are plain folders. */
  disks: DiskTemplates | null;
  running(guid: string, state: ContainerState, end: Promise<ContainerEnd>): RunningSandbox;
}

export interface RootImages {
  /** The engine has it. */
  ensure(image: RootImage): Promise<void>;
  /** It had it, and somebody has removed it since. */
  forget(image: RootImage): void;
  /** Those that nothing stands on any more. */
  removeAll(): Promise<void>;
}

/** @throws SandboxError when no app code ran; nothing is left behind then (a container, where the engine has gone away, until it is back). */
export async function launchContainer(deps: LaunchDeps, spec: SandboxSpec): Promise<RunningSandbox> {
  const { engine, ends } = deps;
  const folder = join(deps.folder, spec.guid);
  if (existsSync(folder)) throw new SandboxError(`there is a sandbox ${spec.guid} already`);
  let host: Guest | null = null;
  let container: string | null = null;
  try {
    const { image, create } = await fill(deps, spec, folder);
    host = comeAsHost(folder);
    await Promise.all([host.ready(), deps.images.ensure(image)]);
    container = await create();
    await engine.start(container);
    const { pid, logPath } = await runningNow(engine, container);
    // Read before the helper proves that it is ours: what has that pid later is another.
    const init = { pid, start: readStat(pid)?.[19] ?? '' };
    const late = setTimeout(() => void host?.kill(), START_MS);
    const end = ends.of(container, pid);
    // Of one that ended before its init said that it runs, nobody would ever hear: its helper, which waits for that, is ended.
    void end.then(() => setTimeout(() => void host?.kill(), TOLD_MS).unref());
    try {
      await Promise.all([host.attach(pid), moveNetwork(spec.network, pid)]);
      await host.go();
      const state: ContainerState = {
        container,
        init,
        boot: bootId(),
        startedMs: Date.now(),
        logPath,
        logRate: spec.logRateBytesPerSecond,
      };
      writeState(folder, state);
      return deps.running(spec.guid, state, end);
    } finally {
      clearTimeout(late);
    }
  } catch (error) {
    await host?.kill();
    // Where the engine has gone away, what it has made is without a folder once it is back, and goes then.
    if (container !== null) await engine.remove(container).catch(() => undefined);
    removeFolder(folder);
    throw error instanceof SandboxError
      ? error
      : new SandboxError(`the sandbox could not be set up: ${(error as Error).message}`, { cause: error });
  }
}

function endedTooSoon(): never {
  throw new SandboxError('the sandbox could not be set up: its container ended before the app began');
}

async function runningNow(engine: Engine, id: string): Promise<ContainerFacts> {
  const facts = await engine.inspect(id);
  return facts?.isRunning && facts.pid > 0 ? facts : endedTooSoon();
}

/** Everything that the helper and the engine read. */
async function fill(
  deps: LaunchDeps,
  spec: SandboxSpec,
  folder: string,
): Promise<{ image: RootImage; create(): Promise<string> }> {
  mkdirSync(join(folder, 'disk'), { recursive: true, mode: 0o700 });
  mkdirSync(join(folder, 'root'));
  writeFileSync(join(folder, RUNG), 'docker');
  const base = spec.stackRoot === undefined ? hostBase(deps.hostCopy) : stackBase(spec.stackRoot, deps.hostCopy);
  // The root of an image takes the place of all this before the app begins, so all that is the app's is put into it by us.
  const isImage = spec.image !== undefined;
  const { engine, ours } = isImage ? { engine: [], ours: [] } : splitMounts(spec.mounts);
  const engineMounts = engine.map(mount => ({ ...mount, source: asSeenByEngine(mount.source, deps.hostCopy) }));
  const points = mountPoints(ours);
  const image = rootImage(base, points);
  const files = isImage ? [] : writeFiles(spec, folder);
  const places = { owner: deps.owner, installation: deps.installation, folder, base: base.mounts, files, engineMounts };
  const template = (await deps.disks?.path(spec.limits.diskMb)) ?? null;
  const forHelper = {
    root: join(folder, 'root'),
    hostname: hostnameOf(spec.guid),
    disk: join(folder, 'disk'),
    logRate: spec.logRateBytesPerSecond,
    owner: spec.uid,
    ...(template === null ? {} : { image: { path: join(folder, 'disk.img'), template } }),
    ...(spec.image === undefined
      ? {
          files: [],
          mounts: ownMounts({ ...spec, mounts: ours }, join(folder, 'disk')),
          attach: points,
          seal: sealed(places),
        }
      : ownRoot(spec, join(folder, 'disk'), { privileged: true })),
    argv: [],
  };
  writeFileSync(specFile(folder), formatShimSpec(forHelper), { mode: 0o600 });
  const options = containerOptions(spec, { ...places, image: image.name });
  const create = (): Promise<string> => deps.engine.create(`cupola-${spec.guid}`, options);
  return {
    image,
    create: async () => {
      try {
        return await create();
      } catch (error) {
        if (!(error instanceof EngineError) || error.status !== 404) throw error;
        deps.images.forget(image);
        await deps.images.ensure(image);
        return create();
      }
    },
  };
}

/** What is copied for the engine is ours; all else lies in the data folder, which it sees under the same path. */
function asSeenByEngine(path: string, hostCopy: string): string {
  return hostCopy !== '' && existsSync(`${hostCopy}${path}`) ? `${hostCopy}${path}` : path;
}

/** Each is shown by itself: of the folder around them nothing may be seen. */
function writeFiles(spec: SandboxSpec, folder: string): Array<{ path: string; source: string }> {
  const etc = Object.entries({ ...etcFiles(spec), ...spec.files });
  const all = [
    ...etc.map(([path, text]) => ({ path, mode: '0644', owner: 0, text })),
    ...environmentFiles(spec, ENVIRONMENT_INSIDE, { privileged: true }),
  ];
  return all.map(({ path, mode, owner = 0, text }, index) => {
    const source = join(folder, `file.${index}`);
    writeFileSync(source, text, { mode: Number.parseInt(mode, 8) });
    chownSync(source, owner, owner);
    return { path, source };
  });
}

/** The sandbox's end of the pair leaves the namespace that was made ahead; the host's end, with its rules, stays what it is. */
async function moveNetwork(network: SandboxSpec['network'], pid: number): Promise<void> {
  if (network.kind === 'host') return;
  const { name, address } = network;
  await ipBatch([['link', 'set', 'eth0', 'netns', String(pid)]], ['-n', name]);
  await ipBatchOf(pid, insideCommands({ gateway: gatewayOf(address), address }));
}
