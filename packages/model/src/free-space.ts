/** How much of a disk is never filled with uploads, so that what runs goes on. */
import { PUSH_LIMITS } from './limits.ts';

/** A small disk would otherwise be full from the start: of the two bounds the smaller one counts. */
export function keptFreeBytes(totalBytes: number): number {
  return Math.min(PUSH_LIMITS.freeSpaceMinBytes, totalBytes * PUSH_LIMITS.freeSpaceMinShare);
}
