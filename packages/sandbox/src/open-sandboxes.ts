/** Climbs the ladder: tries each rung by a canary, strongest first, and runs everything in the first that holds. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canarySpec, readCanary } from './canary.ts';
import { type Cgroups, openCgroups } from './cgroups.ts';
import { makeImage } from './disk.ts';
import { adoptFolder, knownGuids, type LauncherOptions, launch } from './launcher.ts';
import { allRungs, findTool, type Rung, type RungName } from './rungs.ts';
import { type RungReport, type RunningSandbox, SandboxError, type Sandboxes } from './sandbox.ts';
import { writeSeccompFilter } from './seccomp.ts';

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

async function tryRung(rung: Rung, open: OpenOptions, base: Omit<LauncherOptions, 'rung' | 'folder'>): Promise<Trial> {
  const answer = (why: string | null, report: RungReport | null, options: LauncherOptions | null): Trial => ({
    name: rung.name,
    usable: report !== null,
    why,
    debianPackage: rung.debianPackage,
    report,
    options,
  });
  if (rung.tool === null) return answer(`${rung.debianPackage} is not installed`, null, null);
  if (rung.name === 'process') {
    if (!open.allowUnsandboxed) return answer('runs without a sandbox: only with --allow-unsandboxed', null, null);
    const options = { ...base, rung, folder: open.folder };
    return answer(
      null,
      makeReport(rung, options, { pid: false, fs: false, seccomp: false, userns: false }, false),
      options,
    );
  }
  const folder = join(open.folder, '..', `canary-${rung.name}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const keep = setInterval(() => undefined, 1_000); // Shims do not keep us alive; their answer is awaited here.
  try {
    const sandbox = await launch(
      { ...base, rung, folder },
      canarySpec(`canary-${randomUUID()}`, open.canaryUid, { kind: 'host' }),
    );
    const { refusedBecause, seen } = await readCanary(sandbox);
    await sandbox.remove();
    if (refusedBecause !== null) return answer(refusedBecause, null, null);
    const options = { ...base, rung, folder: open.folder };
    return answer(null, makeReport(rung, options, seen, open.separateNetwork), options);
  } catch (error) {
    if (error instanceof SandboxError) return answer(error.message, null, null);
    throw error;
  } finally {
    clearInterval(keep);
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeReport(
  rung: Rung,
  { cgroups, privileged, imageDisks }: LauncherOptions,
  seen: { pid: boolean; fs: boolean; seccomp: boolean; userns: boolean },
  network: boolean,
): RungReport {
  const enforced = {
    ...seen,
    net: network,
    egress: network,
    mem: cgroups?.enforced.mem ?? false,
    cpu: cgroups?.enforced.cpu ?? false,
    pids: cgroups?.enforced.pids ?? false,
    disk: imageDisks && rung.hasRoot,
    uid: privileged,
  };
  const words: Array<[keyof typeof enforced, string]> = [
    ['pid', 'apps see other processes'],
    ['fs', 'apps see the files of this machine'],
    ['uid', 'all apps run as your own user: start as root to give each app a user of its own'],
    ['net', "apps share this machine's network: start as root, with nftables and iproute2, to separate them"],
    ['egress', 'apps reach every address that this machine reaches'],
    ['mem', 'memory limits are not enforced: no control group may be written here'],
    ['cpu', 'CPU shares are not enforced'],
    ['pids', 'the number of processes is not limited'],
    ['disk', 'disk limits are not enforced: only measured'],
    ['seccomp', 'no system-call filter'],
    ['userns', 'apps may make user namespaces of their own'],
  ];
  return {
    driver: rung.tool ?? rung.name,
    rung: rung.name,
    enforced,
    missing: words.filter(([key]) => !enforced[key]).map(([, text]) => text),
  };
}

/** Whether a loop image can be made and mounted here: tried, since device nodes may be missing in a container. */
async function imagesWork(folder: string, privileged: boolean): Promise<boolean> {
  if (!privileged || findTool('mkfs.ext4') === null) return false;
  const image = join(folder, 'canary.img');
  rmSync(image, { force: true });
  try {
    await makeImage(image, 8);
    const tried = spawnSync(
      'unshare',
      ['--mount', '--propagation', 'private', '--', 'mount', '-o', 'loop,nosuid,nodev', image, '/mnt'],
      { stdio: 'ignore' },
    );
    return tried.status === 0;
  } catch {
    return false; // mkfs itself failed: disks are soft here.
  } finally {
    rmSync(image, { force: true });
  }
}

interface Base {
  cgroups: Cgroups | null;
  privileged: boolean;
  imageDisks: boolean;
  seccompFile: string | null;
  rootMount: string;
}

async function makeBase({ folder, installation }: OpenOptions): Promise<Base> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const privileged = process.getuid?.() === 0;
  const rootMount = privileged ? '/run/cupola' : tmpdir();
  if (privileged) mkdirSync(rootMount, { recursive: true, mode: 0o755 });
  return {
    privileged,
    rootMount,
    cgroups: privileged ? openCgroups(`cupola/${installation}`) : null,
    imageDisks: await imagesWork(join(folder, '..'), privileged),
    seccompFile: writeSeccompFilter(join(folder, '..', 'seccomp.bpf')),
  };
}

/** Every rung with what its canary showed: for `doctor`. */
export async function tryRungs(open: OpenOptions): Promise<RungTrial[]> {
  const base = await makeBase(open);
  const trials: RungTrial[] = [];
  for (const rung of allRungs()) {
    const { options: _, ...trial } = await tryRung(rung, open, base);
    trials.push(trial);
  }
  return trials;
}

/** Throws SandboxError, naming what each rung lacks, when none holds. */
export async function openSandboxes(open: OpenOptions): Promise<Sandboxes> {
  const base = await makeBase(open);
  const refused: string[] = [];
  for (const rung of allRungs()) {
    if (open.only !== undefined && rung.name !== open.only) continue;
    const { options, report, why } = await tryRung(rung, open, base);
    if (options !== null && report !== null) return opened(options, report);
    refused.push(`${rung.name}: ${why}`);
  }
  throw new SandboxError(
    `No sandbox works on this machine (${refused.join('; ')}). Install bubblewrap, or run as root; for trusted code only, --allow-unsandboxed runs apps as plain processes.`,
  );
}

function opened(options: LauncherOptions, report: RungReport): Sandboxes {
  return {
    report,
    start: spec => launch(options, spec),
    adopt: async () => knownGuids(options.folder).flatMap((guid): RunningSandbox[] => adoptFolder(options, guid) ?? []),
    close: async () => {
      if (!options.privileged) return;
      try {
        rmdirSync(options.rootMount);
      } catch {
        // Another platform on this machine uses it too.
      }
    },
  };
}
