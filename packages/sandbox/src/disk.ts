/** The writable disk of a sandbox: as root a loop image of exactly the size asked for, else a plain folder ("soft": reported, not enforced). */
import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { SandboxError } from './sandbox.ts';

const run = promisify(execFile);

/** Inodes of an instance (failure-rules.md: 200,000); small disks have fewer. */
const INODES_MAX = 200_000;
/** Below it mkfs cannot place its tables. */
const IMAGE_MIN_MB = 8;

/** A sparse ext4 image; the shim mounts it and makes the folders in it. Throws SandboxError when mkfs fails. */
export async function makeImage(path: string, diskMb: number): Promise<void> {
  const fd = openSync(path, 'wx', 0o600);
  ftruncateSync(fd, Math.max(IMAGE_MIN_MB, diskMb) * 1024 * 1024);
  closeSync(fd);
  const inodes = Math.min(INODES_MAX, Math.max(1_024, diskMb * 256));
  try {
    await run('mkfs.ext4', [
      '-q',
      '-F',
      '-O',
      '^has_journal',
      '-E',
      'lazy_itable_init=1,nodiscard',
      '-m',
      '0',
      '-N',
      String(inodes),
      path,
    ]);
  } catch (error) {
    throw new SandboxError(`the disk of ${diskMb} MB could not be made: ${(error as Error).message.trim()}`, {
      cause: error,
    });
  }
}
