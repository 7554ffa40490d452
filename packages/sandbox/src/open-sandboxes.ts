/** Climbs the ladder: tries each rung by a canary, strongest first, and runs everything in the first that holds. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type CanaryResult, canarySpec, readCanary } from './canary.ts';
import { openCgroups } from './cgroups.ts';
import { imagesWork, openDiskTemplates } from './disk.ts';
import { adoptFolder, knownGuids, launch } from './launcher.ts';
import { reportOf } from './rung-report.ts';
import { allRungs, type Rung, type RungName } from './rungs.ts';
import { type RungReport, SandboxError, type Sandboxes } from './sandbox.ts';
import { writeSeccompFilter } from './seccomp.ts';
import { readRung } from './shim-folder.ts';
import { type LauncherOptions, openSpares, type Spares } from './waiting-shim.ts';

export interface OpenOptions {
  /** Holds one folder for each sandbox; kept over restarts. */
  folder: string;
  /** Names the control groups: two platforms on one machine differ in it. */
  installation: string;
  /** The plain process counts as a rung: for trusted code only. */
  allowUnsandboxed: boolean;
  /** Only this rung: for tests and for operators who insist. */
  only?: RungName;
  /** Uid of the canary as root. */
  canaryUid: number;
  /** Each sandbox has a network of its own with egress rules (the agent's pool): adds to the report. */
  separateNetwork: boolean;
  /** Runs them as containers of this Docker engine, and in nothing else: only where the operator has said so. */
  dockerHost?: string;
  /** A copy of our own root where that engine sees it, since we run in one of its containers. */
  hostCopy?: string;
  /** Keeps a shim ready ahead, which makes a start faster; another comes up this long after it was taken. None where it is not given. */
  spareAfterMs?: number;
}

export interface RungTrial {
  name: RungName;
  usable: boolean;
  /** In words, when it is not. */
  why: string | null;
  debianPackage: string | null;
  report: RungReport | null;
}

interface Trial extends RungTrial {
  options: LauncherOptions | null;
}

async function tryRung(rung: Rung, open: OpenOptions, base: Base): Promise<Trial> {
  const refused = (why: string): Trial => ({
    name: rung.name,
    usable: false,
    why,
    debianPackage: rung.debianPackage,
    report: null,
    options: null,
  });
  const options = { ...base, rung, folder: open.folder };
  const usable = (seen: CanaryResult['seen']): Trial => ({
    ...refused(''),
    usable: true,
    why: null,
    report: makeReport(options, seen, open.separateNetwork),
    options,
  });
  if (rung.tool === null) return refused(`not installed (Debian package ${rung.debianPackage})`);
  if (rung.needsRoot && !base.privileged) return refused('needs root');
  if (rung.name === 'process')
    return open.allowUnsandboxed
      ? usable({ pid: false, fs: false, seccomp: false, userns: false })
      : refused('is no sandbox: only with --allow-unsandboxed');
  try {
    const { refusedBecause, seen } = await runCanary({ ...base, rung }, open);
    return refusedBecause === null ? usable(seen) : refused(refusedBecause);
  } catch (error) {
    if (error instanceof SandboxError) return refused(error.message);
    throw error;
  }
}

async function runCanary(options: Omit<LauncherOptions, 'folder'>, open: OpenOptions): Promise<CanaryResult> {
  const folder = mkdtempSync(join(open.folder, '..', `canary-${options.rung.name}-`));
  const keep = setInterval(() => undefined, 1_000); // Shims do not keep us alive; their answer is awaited here.
  try {
    const spec = canarySpec(`canary-${randomUUID()}`, open.canaryUid);
    const sandbox = await launch({ ...options, folder }, spec);
    try {
      return await readCanary(sandbox);
    } finally {
      await sandbox.kill();
      await sandbox.ended;
      await sandbox.remove();
    }
  } finally {
    clearInterval(keep);
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeReport(
  { rung, cgroups, privileged, disks }: LauncherOptions,
  seen: CanaryResult['seen'],
  network: boolean,
): RungReport {
  return reportOf(rung.tool ?? rung.name, rung.name, {
    ...seen,
    net: network,
    egress: network,
    mem: cgroups?.enforced.mem ?? false,
    cpu: cgroups?.enforced.cpu ?? false,
    pids: cgroups?.enforced.pids ?? false,
    disk: disks !== null && rung.hasRoot,
    uid: privileged,
  });
}

type Base = Omit<LauncherOptions, 'rung' | 'folder'>;

async function makeBase({ folder, installation }: OpenOptions): Promise<Base> {
  // Plain processes go through it to their homes; each folder in it is closed where there is a sandbox.
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const beside = join(folder, '..');
  const privileged = process.getuid?.() === 0;
  return {
    privileged,
    rootMount: privileged ? '/run/cupola' : null,
    cgroups: privileged ? openCgroups(`cupola/${installation}`) : null,
    disks: privileged && (await imagesWork(beside)) ? openDiskTemplates(join(beside, 'disks')) : null,
    seccompFile: writeSeccompFilter(join(beside, 'seccomp.bpf')),
  };
}

/** Every rung with what its canary showed: for `doctor`. */
export async function tryRungs(open: OpenOptions): Promise<RungTrial[]> {
  const base = await makeBase(open);
  const trials: RungTrial[] = open.dockerHost === undefined ? [] : [await tryDocker(open, open.dockerHost)];
  for (const rung of allRungs()) {
    const { options: _, ...trial } = await tryRung(rung, open, base);
    trials.push(trial);
  }
  base.cgroups?.close();
  return trials;
}

async function tryDocker(open: OpenOptions, host: string): Promise<RungTrial> {
  const trial = { name: 'docker', debianPackage: 'docker.io' } as const;
  try {
    const sandboxes = await openDockerAt(open, host);
    await sandboxes.close();
    return { ...trial, usable: true, why: null, report: sandboxes.report };
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return { ...trial, usable: false, why: error.message, report: null };
  }
}

/** Loaded only where it is wanted. */
async function openDockerAt(open: OpenOptions, host: string): Promise<Sandboxes> {
  const { openDocker } = await import('./docker/open-docker.ts');
  return openDocker({ ...open, host });
}

/** What an engine keeps is not known by shims, nor the other way round: whoever changes that must end the one before. */
function refuseMixed({ folder, dockerHost }: OpenOptions): void {
  const isDocker = dockerHost !== undefined;
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const others = knownGuids(folder)
    .map(guid => readRung(join(folder, guid)))
    .filter(rung => rung !== null && (rung === 'docker') !== isDocker);
  if (others.length > 0)
    throw new SandboxError(
      `${others.length} of what runs here was started ${isDocker ? 'without Docker' : 'in Docker'}. Start the platform as before (--sandbox ${isDocker ? 'auto' : 'docker'}), take it down, and then up again with --sandbox ${isDocker ? 'docker' : 'auto'}.`,
    );
}

/** Throws SandboxError, naming what each rung lacks, when none holds. */
export async function openSandboxes(open: OpenOptions): Promise<Sandboxes> {
  refuseMixed(open);
  if (open.dockerHost !== undefined) return await openDockerAt(open, open.dockerHost);
  const base = await makeBase(open);
  const refused: string[] = [];
  for (const rung of allRungs()) {
    if (open.only !== undefined && rung.name !== open.only) continue;
    const { options, report, why } = await tryRung(rung, open, base);
    if (options !== null && report !== null)
      return opened(options, report, open.spareAfterMs === undefined ? null : openSpares(options, open.spareAfterMs));
    refused.push(`${rung.name}: ${why}`);
  }
  base.cgroups?.close();
  throw new SandboxError(
    `No sandbox works on this machine (${refused.join('; ')}). Install bubblewrap, or run as root; for trusted code only, --allow-unsandboxed runs apps as plain processes.`,
  );
}

function opened(options: LauncherOptions, report: RungReport, spares: Spares | null): Sandboxes {
  return {
    report,
    start: spec => launch(options, spec, spares),
    adopt: async () => {
      const found = await Promise.all(knownGuids(options.folder).map(guid => adoptFolder(options, guid)));
      return found.filter(sandbox => sandbox !== null);
    },
    // The shared mount point stays: it is empty, and another platform may be about to mount on it in a namespace of its own.
    close: async () => {
      await spares?.close();
      options.cgroups?.close();
    },
  };
}
