/** Finding a droplet for an actor, with the app it is of. */
import { NotFoundError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { appScope, findApp, type ScopedApp } from '../apps/find-app.ts';
import { type DropletRow, isVisibleDroplet } from './list-droplets.ts';

export interface FoundDroplet {
  row: DropletRow;
  app: ScopedApp;
}

/** @throws NotFoundError for one that is not there, that nobody has asked for yet, or that the actor may not see. */
export async function seenDroplet(db: Kysely<Database>, actor: Actor, guid: string): Promise<FoundDroplet> {
  const row = await db
    .selectFrom('droplets')
    .selectAll()
    .where('guid', '=', guid)
    .where(isVisibleDroplet)
    .executeTakeFirst();
  const app = row === undefined ? undefined : await findApp(db, row.app_guid);
  if (row === undefined || app === undefined || !maySeeSpace(actor, appScope(app))) throw new NotFoundError('Droplet');
  return { row, app };
}

/** As `seenDroplet`, and 403 for those who may see but not change. */
export async function writableDroplet(db: Kysely<Database>, actor: Actor, guid: string): Promise<FoundDroplet> {
  const found = await seenDroplet(db, actor, guid);
  requireDeveloper(actor, appScope(found.app), 'Droplet');
  return found;
}
