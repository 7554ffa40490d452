/**
 * The platform's blobs: files in the data folder, or objects on S3 where `state/blobs-place` says so. A second line in it is where they are going: whoever opens
 * them serves both places and copies what the new one lacks, for as long as it takes and over any number of starts, then makes that line the only one.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BlobStore } from '@cupola/blobs/blob-store';
import { openFileBlobs } from '@cupola/blobs/files';
import { copyBlobs, movingBlobs } from '@cupola/blobs/moving';
import type { Logger } from 'pino';
import { EMBEDDED } from './open-store.ts';
import { writeDurable } from './platform-config.ts';

/** After a failure, as of a server that is away. */
const AGAIN_MS = 5_000;

export interface BlobsPlace {
  /** `s3://...`, or `embedded`. */
  place: string;
  /** Where they are going; null: nowhere. */
  next: string | null;
}

const placeFile = (state: string): string => join(state, 'blobs-place');
const errorFile = (state: string): string => join(state, 'blobs-error');

export function blobsPlace(state: string): BlobsPlace {
  const file = placeFile(state);
  const [place = EMBEDDED, next = null] = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  return { place, next };
}

function writePlace(state: string, { place, next }: BlobsPlace): void {
  rmSync(errorFile(state), { force: true });
  if (place === EMBEDDED && next === null) rmSync(placeFile(state), { force: true });
  else writeDurable(placeFile(state), `${place}\n${next === null ? '' : `${next}\n`}`, 0o600);
}

/** For the next start. A move under way may be turned round, and nothing else. @returns false when it leads to a third place. */
export function wishBlobs(state: string, wanted: string): boolean {
  const { place, next } = blobsPlace(state);
  if (next !== null && wanted !== place && wanted !== next) return false;
  if (wanted === place && next !== null) writePlace(state, { place: next, next: place });
  else if (wanted !== place) writePlace(state, { place, next: wanted });
  return true;
}

/** Why a move does not go on now; null: it does. */
export function blobsFailure(state: string): string | null {
  return existsSync(errorFile(state)) ? readFileSync(errorFile(state), 'utf8').trim() : null;
}

export interface OpenBlobs extends AsyncDisposable {
  blobs: BlobStore;
}

export async function openBlobs(state: string, log: Logger): Promise<OpenBlobs> {
  await using opening = new AsyncDisposableStack();
  const { place, next } = blobsPlace(state);
  const from = opening.use(await openBlobsAt(state, place)).blobs;
  if (next === null) return { blobs: from, ...disposal(opening.move()) };
  const to = opening.use(await openBlobsAt(state, next)).blobs;
  const over = new AbortController();
  const blobs = movingBlobs({ from, to });
  const copying = copyAll({ state, from, to, next, log }, over.signal).then(isMoved => isMoved && blobs.finish());
  opening.defer(async () => {
    over.abort();
    await copying;
  });
  return { blobs, ...disposal(opening.move()) };
}

const disposal = (stack: AsyncDisposableStack): AsyncDisposable => ({
  [Symbol.asyncDispose]: () => stack.disposeAsync(),
});

interface Copy {
  state: string;
  from: BlobStore;
  to: BlobStore;
  next: string;
  log: Logger;
}

/** @returns whether it came to its end. */
async function copyAll({ state, from, to, next, log }: Copy, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted)
    try {
      if (!(await copyBlobs({ from, to }, signal))) return false;
      writePlace(state, { place: next, next: null });
      log.info('packages and droplets have moved');
      return true;
    } catch (error) {
      log.warn({ err: error }, 'packages and droplets are not all copied yet; it goes on in a moment');
      writeDurable(errorFile(state), `${(error as Error).message}\n`, 0o600);
      await pause(AGAIN_MS, undefined, { signal }).catch(() => undefined); // The end.
    }
  return false;
}

/** @throws TypeError for what is no place. */
export async function openBlobsAt(state: string, place: string): Promise<OpenBlobs> {
  if (place === EMBEDDED) {
    const blobs = openFileBlobs({ folder: join(state, 'blobs') });
    return { blobs, [Symbol.asyncDispose]: async () => undefined };
  }
  const { openS3Blobs } = await import('@cupola/blobs/s3');
  const name = createHash('sha256').update(place).digest('hex').slice(0, 8);
  const blobs = openS3Blobs({ url: place, folder: join(state, 'blob-cache', name) });
  return { blobs, [Symbol.asyncDispose]: async () => blobs.close() };
}
