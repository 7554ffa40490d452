/**
 * `migrate --to postgres://...|embedded`: where the platform's state lies from now on. Apps go on; the API is away while it is copied.
 * `migrate --blobs s3://...|embedded`: the same of its packages and droplets (move-blobs.ts).
 */
import { join } from 'node:path';
import { sentence } from '@cupola/model/sentence';
import { EMBEDDED, moveFailure, openStore, shownPlace, storePlace, wishStore } from '../open-store.ts';
import { command, dataFolder, giveToOwner, PlainError, readConfig } from '../platform-config.ts';
import { ownPrograms } from '../programs.ts';
import { moveBlobs } from './move-blobs.ts';
import { askSupervisor, restartPath } from './running.ts';

interface MoveFlags {
  to: string;
  json?: boolean;
}

interface Flags {
  data?: string;
  to?: string;
  blobs?: string;
  json?: boolean;
}

export async function migrate({ to, blobs, ...flags }: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  if (readConfig(data) === null) throw new PlainError(`There is no platform in ${data}. Name its folder with --data.`);
  if (to === undefined && blobs === undefined)
    throw new PlainError(
      'Nothing was said to move. Name a place for the state with --to, or for packages and droplets with --blobs.',
    );
  if (to !== undefined) await moveState(data, { ...flags, to });
  if (blobs !== undefined) await moveBlobs(data, { ...flags, to: blobs });
}

async function moveState(data: string, flags: MoveFlags): Promise<void> {
  const state = join(data, 'state');
  const place = readPlace(flags.to);
  if (place === storePlace(state)) return say(flags, place, `The state of the platform in ${data} lies there already.`);
  wishStore(state, place);
  giveToOwner(state, 'database.next');
  // What runs moves it as its next start does; what does not is opened here.
  const status = await askSupervisor(data, restartPath(ownPrograms()));
  if (status === null) await (await openStore(state)).close();
  const failure = moveFailure(state);
  if (failure !== null)
    throw new PlainError(
      `${sentence(`The state stays where it was: ${failure}`)} Mend that, then again: ${command('migrate --to URL', data)}`,
    );
  const after = status === null ? ` Start it: ${command('up', data)}` : '';
  const kept =
    place === EMBEDDED ? '' : ` The former store is kept as ${state}/store.db.moved: remove it when you like.`;
  say(flags, place, `The state of the platform in ${data} lies in ${shownPlace(place)} now.${kept}${after}`);
}

function readPlace(to: string): string {
  if (to === EMBEDDED || /^postgres(ql)?:\/\/./.test(to)) return to;
  throw new PlainError(
    `"${to}" is no place for a platform's state. Write postgres://USER:PASSWORD@HOST:5432/DATABASE, or ${EMBEDDED} for the data folder.`,
  );
}

function say({ json }: MoveFlags, place: string, text: string): void {
  console.log(json ? JSON.stringify({ store: shownPlace(place) }) : text);
}
