/** The disk that uploads fill: kept from being full, and told plainly when it is (failure-rules.md 4). */
import { UnavailableError } from '@cupola/model/errors';
import { keptFreeBytes } from '@cupola/model/free-space';
import type { ApiDeps } from '../deps.ts';

const MIB = 1024 * 1024;

/** @throws UnavailableError while there is less than 5 % or 1 GiB free behind `comingBytes`. */
export async function requireSpace({ blobs }: Pick<ApiDeps, 'blobs'>, comingBytes: number): Promise<void> {
  const space = await blobs.space();
  if (space.freeBytes - comingBytes < keptFreeBytes(space.totalBytes))
    throw new UnavailableError(
      `The platform's disk is nearly full (${Math.floor(space.freeBytes / MIB)} MB free). Delete apps or free some space, then push again.`,
      'InsufficientStorage',
    );
}

/** The error itself, unless it says that the disk is full. */
export function whenFull(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || (error.code !== 'ENOSPC' && error.code !== 'EDQUOT'))
    return error;
  return new UnavailableError("The platform's disk is full. Free some space, then push again.", 'InsufficientStorage');
}
