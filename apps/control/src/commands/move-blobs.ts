/**
 * `migrate --blobs`: where packages and droplets lie from now on. The platform serves all the time and copies them itself (open-blobs.ts); here the place is
 * tried, the wish is written, and its end is waited for. Who does not wait loses nothing.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { sentence } from '@cupola/model/sentence';
import { blobsFailure, blobsPlace, openBlobsAt, wishBlobs } from '../open-blobs.ts';
import { EMBEDDED, shownPlace } from '../open-store.ts';
import { command, giveToOwner, PlainError } from '../platform-config.ts';
import { ownPrograms } from '../programs.ts';
import { askSupervisor, restartPath } from './running.ts';

const LOOK_MS = 200;

interface Flags {
  to: string;
  json?: boolean;
}

export async function moveBlobs(data: string, { to, json = false }: Flags): Promise<void> {
  const state = join(data, 'state');
  const say = (text: string): void =>
    console.log(json ? JSON.stringify({ blobs: shownPlace(to), next: blobsPlace(state).next }) : text);
  const before = blobsPlace(state);
  if (to === before.place && before.next === null) return say('Packages and droplets lie there already.');
  await tryPlace(to);
  if (!wishBlobs(state, to))
    throw new PlainError(
      `Packages and droplets are still on their way to ${shownPlace(before.next ?? '')}. Wait for its end, or turn round: ${command(`migrate --blobs ${shownPlace(before.place)}`, data)}`,
    );
  giveToOwner(state, 'blobs-place');
  if ((await askSupervisor(data, restartPath(ownPrograms()))) === null)
    return say(`Packages and droplets go to ${shownPlace(to)} as soon as the platform runs: ${command('up', data)}`);
  await untilMoved(state);
  const left = before.place === EMBEDDED ? `${state}/blobs` : shownPlace(before.place);
  say(
    `Packages and droplets lie in ${shownPlace(to)} now. What is in ${left} is not used any more: remove it when you like.`,
  );
}

/** Says once why it does not go on, when it does not: it is tried again and again, also when nobody waits here. */
async function untilMoved(state: string): Promise<void> {
  let isSaid = false;
  while (blobsPlace(state).next !== null) {
    const failure = blobsFailure(state);
    if (failure !== null && !isSaid) {
      console.error(
        `cupola: ${sentence(failure)} The copy goes on by itself when it can; Ctrl-C ends only this waiting.`,
      );
      isSaid = true;
    }
    await pause(LOOK_MS);
  }
}

/** @throws PlainError when nothing can be stored there, read and removed. */
async function tryPlace(place: string): Promise<void> {
  if (place === EMBEDDED) return;
  const folder = mkdtempSync(join(tmpdir(), 'cupola-try-'));
  try {
    await using opened = await openBlobsAt(folder, place);
    const { digest } = await opened.blobs.put(Readable.from([randomBytes(16)]));
    await buffer(await opened.blobs.openVerified(digest));
    await opened.blobs.remove(digest);
  } catch (error) {
    throw new PlainError(`${sentence(`Packages and droplets stay where they are: ${(error as Error).message}`)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
