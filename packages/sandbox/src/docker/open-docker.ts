/**
 * Sandboxes as containers of a Docker engine on this machine: the engine is their shim. Root, disk, limits and network are those of every rung; what Docker
 * cannot mount we move into the container before the app begins (docs/decisions/0030).
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CanaryResult, canarySpec, readCanary } from '../canary.ts';
import { type DiskTemplates, imagesWork, openDiskTemplates } from '../disk.ts';
import { bootId, knownGuids } from '../launcher.ts';
import { reportOf } from '../rung-report.ts';
import { removeFolder } from '../running.ts';
import { type RungReport, type RunningSandbox, SandboxError, type Sandboxes } from '../sandbox.ts';
import { GUID_LABEL, OWNER_LABEL } from './container-options.ts';
import { type ContainerEnd, watchEnds } from './ends.ts';
import { type Engine, EngineAwayError, type KnownContainer, openEngine } from './engine.ts';
import { launchContainer, type RootImages } from './launch-container.ts';
import { ROOT_IMAGES, type RootImage } from './root-image.ts';
import { runningContainer } from './running-container.ts';
import { type ContainerState, readState } from './state-file.ts';

export interface DockerOptions {
  /** Of the engine: `unix:///var/run/docker.sock`. */
  host: string;
  /** Holds one folder for each sandbox; kept over restarts. */
  folder: string;
  /** For people who look at the engine. */
  installation: string;
  /** Uid of the canary. */
  canaryUid: number;
  /** Each sandbox has a network of its own with egress rules. */
  separateNetwork: boolean;
  /** A copy of our own root (`copyHostBase`), where we run in a container of that engine: it does not see ours. */
  hostCopy?: string;
}

/** Beside the folder: which containers are ours, and what the canary saw. */
interface Remembered {
  owner: string;
  report: RungReport | null;
}

/** @throws SandboxError, saying what to do, where the engine does not answer or does not hold what it should. */
export async function openDocker(options: DockerOptions): Promise<Sandboxes> {
  if (process.getuid?.() !== 0)
    throw new SandboxError('apps in Docker need ./cupola started as root: their disks and networks are ours to make');
  mkdirSync(options.folder, { recursive: true, mode: 0o711 });
  const beside = join(options.folder, '..');
  const memory = openMemory(join(beside, 'docker.json'));
  const engine = await openEngine(options.host);
  const disks = (await imagesWork(beside)) ? openDiskTemplates(join(beside, 'disks')) : null;
  const base = { engine, disks, installation: options.installation, hostCopy: options.hostCopy ?? '' };
  const report = await reportNow(options, memory.read(), base);
  memory.write({ ...memory.read(), report });
  return { ...openCell({ ...base, folder: options.folder, owner: memory.read().owner }), report };
}

/**
 * Removes all containers of a cell that does not run and never will again, and images that nobody uses.
 *
 * @param beside its folder of sandboxes, as of `openDocker`. @throws EngineAwayError
 */
export async function sweepDocker(host: string, beside: string): Promise<void> {
  const file = join(beside, 'docker.json');
  if (!existsSync(file)) return;
  const { owner } = openMemory(file).read();
  const engine = await openEngine(host);
  for (const label of [owner, canaryOf(owner)]) {
    const left = await engine.list(`${OWNER_LABEL}=${label}`);
    await Promise.all(left.map(({ id }) => engine.remove(id)));
  }
  for (const name of await engine.images(ROOT_IMAGES)) await engine.removeImage(name);
}

const canaryOf = (owner: string): string => `${owner}.canary`;

/** An engine that is away for the moment does not keep an agent from coming back to its apps: what was seen last counts on. */
async function reportNow(
  options: DockerOptions,
  { owner, report }: Remembered,
  base: Omit<CellDeps, 'folder' | 'owner'>,
): Promise<RungReport> {
  try {
    const version = await base.engine.version();
    return makeReport(version, await runCanary(options, { ...base, owner: canaryOf(owner) }), options);
  } catch (error) {
    if (!(error instanceof EngineAwayError)) throw error;
    if (report !== null) return report;
    throw new SandboxError(
      `No Docker engine answers at ${options.host} (${error.message}). Start it (systemctl start docker), or name another: --docker-host unix:///PATH.`,
      { cause: error },
    );
  }
}

/** @throws SandboxError where it does not hold what it must. */
async function runCanary(options: DockerOptions, deps: Omit<CellDeps, 'folder'>): Promise<CanaryResult> {
  const folder = mkdtempSync(join(options.folder, '..', 'canary-docker-'));
  const cell = openCell({ ...deps, folder });
  const keep = setInterval(() => undefined, 1_000); // Containers do not keep us alive; its answer is awaited here.
  try {
    const sandbox = await cell.start(canarySpec(`canary-${randomUUID()}`, options.canaryUid));
    const result = await readCanary(sandbox);
    await sandbox.remove();
    if (result.refusedBecause === null) return result;
    throw new SandboxError(`The Docker engine at ${options.host} is no sandbox: ${result.refusedBecause}.`);
  } finally {
    clearInterval(keep);
    await cell.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** By what the canary saw of its own control group and disk. */
function makeReport(
  version: string,
  { seen, limits }: CanaryResult,
  { canaryUid, separateNetwork }: DockerOptions,
): RungReport {
  const given = canarySpec('', canaryUid).limits;
  const enforced = {
    ...seen,
    net: separateNetwork,
    egress: separateNetwork,
    mem: limits.memoryMb === given.memoryMb,
    pids: limits.pidsMax === given.pidsMax,
    // Its own number in version 1; in version 2 the engine makes a weight of it, of which 100 is anybody's.
    cpu: limits.cpu === Math.round(given.cpuShare * 1024) || (limits.cpu > 0 && limits.cpu < 100),
    disk: limits.diskMb > 0 && limits.diskMb <= given.diskMb,
    uid: true,
  };
  return reportOf(`Docker ${version}`, 'docker', enforced, [
    'apps are in no user namespace: inside they have the user id that this machine knows them by (no capability, and none to be gained)',
    'while the Docker engine is away, an app that prints much waits, and the last lines of one that ends are lost',
  ]);
}

interface CellDeps {
  engine: Engine;
  disks: DiskTemplates | null;
  installation: string;
  hostCopy: string;
  folder: string;
  owner: string;
}

function openCell(deps: CellDeps): Omit<Sandboxes, 'report'> {
  const { engine, folder, owner } = deps;
  const label = `${OWNER_LABEL}=${owner}`;
  const images = openImages(engine);
  const ends = watchEnds({ engine, label, listed: removeStrays });
  const guidOf = ({ labels }: KnownContainer): string => labels[GUID_LABEL] ?? '';

  /** A container's folder is there before it, and goes after it: one without is what an agent could not finish. */
  async function removeStrays(found: readonly KnownContainer[]): Promise<void> {
    const strays = found.filter(container => !existsSync(join(folder, guidOf(container))));
    await Promise.all(strays.map(({ id }) => engine.remove(id)));
  }
  const remove = async (guid: string, id: string): Promise<void> => {
    // Where the engine is away the container is a stray once it is back.
    await engine.remove(id).catch((error: unknown) => {
      if (!(error instanceof EngineAwayError)) throw error;
    });
    removeFolder(join(folder, guid));
  };
  const running = (guid: string, state: ContainerState, end: Promise<ContainerEnd>): RunningSandbox =>
    runningContainer({ guid, folder: join(folder, guid), state, end, remove: () => remove(guid, state.container) });
  /** Null: it never began. */
  const adoptOne = (guid: string): RunningSandbox | null => {
    const state = readState(join(folder, guid));
    if (state === null) {
      removeFolder(join(folder, guid));
      return null;
    }
    // Of another boot nothing runs, whatever the engine remembers of it.
    return running(
      guid,
      state,
      state.boot === bootId() ? ends.of(state.container, state.init.pid) : Promise.resolve(null),
    );
  };
  return {
    start: spec => launchContainer({ ...deps, ends, images, running }, spec),
    adopt: async () => {
      const adopted = knownGuids(folder).map(adoptOne);
      await engine
        .list(label)
        .then(removeStrays)
        .catch((error: unknown) => {
          if (!(error instanceof EngineAwayError)) throw error; // They go once it is back.
        });
      return adopted.filter(sandbox => sandbox !== null);
    },
    close: async () => {
      ends.close();
      await images.removeAll();
    },
  };
}

function openImages(engine: Engine): RootImages {
  const known = new Map<string, Promise<void>>();
  const make = async ({ name, tar }: RootImage): Promise<void> => {
    if (!(await engine.hasImage(name))) await engine.importImage(name, tar);
  };
  return {
    ensure: image => {
      const made = known.get(image.name) ?? make(image);
      known.set(image.name, made);
      made.catch(() => known.delete(image.name)); // Told to who asked; the next asking tries again.
      return made;
    },
    forget: ({ name }) => void known.delete(name),
    removeAll: async () => {
      for (const name of known.keys()) await engine.removeImage(name).catch(() => undefined); // Some KB that stay.
    },
  };
}

function openMemory(file: string): { read(): Remembered; write(remembered: Remembered): void } {
  const write = (remembered: Remembered): void => {
    writeFileSync(`${file}.new`, JSON.stringify(remembered), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  if (!existsSync(file)) write({ owner: randomUUID(), report: null });
  return { read: () => JSON.parse(readFileSync(file, 'utf8')) as Remembered, write };
}
