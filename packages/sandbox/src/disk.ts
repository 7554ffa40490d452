/** The writable disk of a sandbox: as root a loop image of exactly the size asked for, else a plain folder ("soft": reported, not enforced). */
import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import { findTool } from './rungs.ts';
import { SandboxError } from './sandbox.ts';

const run = promisify(execFile);

/** Small disks have fewer inodes than an instance may have at most: one for each 4 KiB. */
const INODES_FOR_MB = 256;
const INODES_MIN = 1_024;
/** Below it mkfs cannot place its tables. */
const IMAGE_MIN_MB = 8;

/** Makes an empty ext4 file system in a sparse file. Throws SandboxError when mkfs fails. */
async function makeImage(path: string, diskMb: number): Promise<void> {
  const fd = openSync(path, 'w', 0o600);
  ftruncateSync(fd, Math.max(IMAGE_MIN_MB, diskMb) * 1024 * 1024);
  closeSync(fd);
  const inodes = Math.min(INSTANCE_LIMITS.inodesMax, Math.max(INODES_MIN, diskMb * INODES_FOR_MB));
  // No journal: a disk lives as long as its sandbox, so nothing of it is read again after a crash.
  const features = ['-O', '^has_journal,^resize_inode', '-E', 'lazy_itable_init=1,nodiscard'];
  try {
    await run('mkfs.ext4', ['-q', '-F', ...features, '-m', '0', '-N', String(inodes), path]);
  } catch (error) {
    throw new SandboxError(`the disk of ${diskMb} MB could not be made: ${(error as Error).message.trim()}`, {
      cause: error,
    });
  }
}

export interface DiskTemplates {
  /** An empty image of that size, which the shim copies: a tenth of the time of making one. Made at the first asking, kept. */
  path(diskMb: number): Promise<string>;
}

export function openDiskTemplates(folder: string): DiskTemplates {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const made = new Map<number, Promise<string>>();
  const make = async (diskMb: number): Promise<string> => {
    const path = join(folder, `${diskMb}.img`);
    const unfinished = `${path}.${randomUUID()}`;
    try {
      await makeImage(unfinished, diskMb);
      renameSync(unfinished, path);
    } finally {
      rmSync(unfinished, { force: true });
    }
    return path;
  };
  return {
    path: diskMb => {
      const known = made.get(diskMb) ?? make(diskMb);
      made.set(diskMb, known);
      known.catch(() => made.delete(diskMb)); // Told to who asked; the next asking tries again.
      return known;
    },
  };
}

/** Whether a loop image can be made and mounted here: tried, since device nodes may be missing in a container. */
export async function imagesWork(folder: string): Promise<boolean> {
  if (findTool('mkfs.ext4') === null) return false;
  const place = mkdtempSync(join(folder, 'canary-disk-'));
  const image = join(place, 'image');
  try {
    await makeImage(image, 8);
    const mount = ['--', 'mount', '-o', 'loop,nosuid,nodev', image, place];
    return spawnSync('unshare', ['--mount', '--propagation', 'private', ...mount], { stdio: 'ignore' }).status === 0;
  } catch {
    return false; // mkfs itself failed: disks are soft here.
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
