/** Finding a package for an actor, with the app it is of. */
import { NotFoundError } from '@cupola/model/errors';
import type { Database, PackagesTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { appScope, findApp, type ScopedApp } from '../apps/find-app.ts';

export type PackageRow = Selectable<PackagesTable>;
export interface FoundPackage {
  row: PackageRow;
  app: ScopedApp;
}

/** @throws NotFoundError for one that is not there or that the actor may not see. */
export async function seenPackage(db: Kysely<Database>, actor: Actor, guid: string): Promise<FoundPackage> {
  const row = await db.selectFrom('packages').selectAll().where('guid', '=', guid).executeTakeFirst();
  const app = row === undefined ? undefined : await findApp(db, row.app_guid);
  if (row === undefined || app === undefined || !maySeeSpace(actor, appScope(app))) throw new NotFoundError('Package');
  return { row, app };
}

/** As `seenPackage`, and 403 for those who may see but not change. */
export async function writablePackage(db: Kysely<Database>, actor: Actor, guid: string): Promise<FoundPackage> {
  const found = await seenPackage(db, actor, guid);
  requireDeveloper(actor, appScope(found.app), 'Package');
  return found;
}
