/** `migrate --to postgres://...|embedded`: where the platform's state lies from now on. Apps go on; the API is away while it is copied. */
import { lchownSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sentence } from '@cupola/model/sentence';
import { EMBEDDED, moveFailure, openStore, shownPlace, storePlace, wishStore } from '../open-store.ts';
import { command, dataFolder, PlainError, readConfig } from '../platform-config.ts';
import { ownPrograms } from '../programs.ts';
import { askSupervisor, restartPath } from './running.ts';

interface Flags {
  data?: string;
  to: string;
  json?: boolean;
}

export async function migrate(flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  if (readConfig(data) === null) throw new PlainError(`There is no platform in ${data}. Name its folder with --data.`);
  const state = join(data, 'state');
  const place = readPlace(flags.to);
  if (place === storePlace(state)) return say(flags, place, `The state of the platform in ${data} lies there already.`);
  wishStore(state, place);
  giveToOwner(state);
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

function say({ json }: Flags, place: string, text: string): void {
  console.log(json ? JSON.stringify({ store: shownPlace(place) }) : text);
}

/** The part that moves runs under the platform's own uid. */
function giveToOwner(state: string): void {
  const { uid, gid } = statSync(state);
  lchownSync(join(state, 'database.next'), uid, gid);
}
