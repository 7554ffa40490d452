/**
 * A shim that is up, with its folder and control group, and waits to be told what to run. One that is kept ahead saves a start what is slow and always
 * the same: perl, the fork, the kernel's wait when a process enters a control group (some 15 ms of 25).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { Cgroup, Cgroups } from './cgroups.ts';
import { type FolderFacts, makeFolder, type PrepareOptions } from './prepare.ts';
import { findTool } from './rungs.ts';

export interface LauncherOptions extends PrepareOptions {
  /** Holds one folder for each sandbox. */
  folder: string;
  cgroups: Cgroups | null;
}

export interface WaitingShim {
  folder: string;
  cgroup: Cgroup | null;
  process: ChildProcess;
  /** Resolves when it has ended, or could not be started. */
  ended: Promise<void>;
}

/** What the shim itself dies of, in the instance folder. */
export const COMPLAINTS = 'shim.err';
export const SHIM = join(import.meta.dirname, 'shim.pl');

/** Never throws for the shim's sake: its end tells. */
export function comeUp(
  options: LauncherOptions,
  {
    folder,
    group,
    stackRoot = null,
    isImage = false,
    ahead = null,
  }: { folder: string; group: string } & Partial<Omit<FolderFacts, 'group'>>,
): WaitingShim {
  const { rung, privileged, cgroups } = options;
  const cgroup = cgroups?.create(group) ?? null;
  makeFolder(options, folder, { stackRoot, isImage, ahead, group: cgroup?.name ?? null });
  const complaints = openSync(join(folder, COMPLAINTS), 'a', 0o600);
  const userFirst = rung.hasRoot && !privileged ? '1' : '';
  const procs = rung.kind === 'detached' ? [] : (cgroup?.joinFiles ?? []);
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  const shim = spawn(findTool('perl') ?? 'perl', [SHIM, folder, arch, rung.kind, userFirst, ...procs], {
    detached: true,
    stdio: ['pipe', 'ignore', complaints],
    // Not by its name: a folder kept ahead is renamed, maybe before perl is up.
    cwd: folder,
    env: { PATH: process.env.PATH ?? '' },
  });
  closeSync(complaints);
  shim.stdin?.on('error', () => undefined); // It has ended: told by its end.
  const ended = new Promise<void>(resolve => {
    shim.once('error', () => resolve());
    shim.once('exit', () => resolve());
  });
  return { folder, cgroup, process: shim, ended };
}

export interface Spares {
  /** One that is up, its folder moved to the place given; null when there is none. The next one gets a disk of this size. */
  take(folder: string, diskMb: number): WaitingShim | null;
  close(): Promise<void>;
}

/** Keeps one shim ahead, in a folder of its own beside those of sandboxes. Another comes up some time after one was taken. */
export function openSpares(options: LauncherOptions, afterMs: number): Spares {
  const place = join(options.folder, '..', 'spares');
  // A former agent's have ended with it.
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true, mode: 0o711 });
  let spare: WaitingShim | null = null;
  let diskMb: number = INSTANCE_LIMITS.diskDefaultMb;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const comeUpAhead = async (): Promise<void> => {
    const name = `spare-${randomUUID()}`;
    // Without it the shim makes no disk ahead: only slower, and who needs the template next is told why there is none.
    const template = (await options.disks?.path(diskMb).catch(() => null)) ?? null;
    if (isClosed) return;
    const next = comeUp(options, { folder: join(place, name), group: name, ahead: { template } });
    // It keeps nobody alive who waits for nothing else.
    next.process.unref();
    (next.process.stdin as { unref?(): void } | null)?.unref?.();
    spare = next;
  };
  let comingUp = comeUpAhead();
  const removed = async ({ process: shim, ended, folder, cgroup }: WaitingShim): Promise<void> => {
    shim.stdin?.destroy();
    await ended;
    await cgroup?.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  return {
    take: (folder, taking) => {
      const taken = spare;
      diskMb = taking;
      if (taken === null) return null;
      spare = null;
      timer = setTimeout(() => {
        comingUp = comeUpAhead();
      }, afterMs);
      timer.unref();
      if (taken.process.exitCode !== null || taken.process.signalCode !== null) {
        void removed(taken);
        return null;
      }
      renameSync(taken.folder, folder);
      return { ...taken, folder };
    },
    close: async () => {
      clearTimeout(timer);
      isClosed = true;
      await comingUp;
      if (spare !== null) await removed(spare);
      rmSync(place, { recursive: true, force: true });
    },
  };
}
