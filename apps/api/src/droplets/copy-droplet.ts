/** A droplet of one app for another (CF: droplet_copy.rb). Its layers are shared: nothing is copied but a row, so it is STAGED at once. */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { appScope, writableApp } from '../apps/find-app.ts';
import { seenDroplet } from './find-droplet.ts';
import type { DropletRow } from './list-droplets.ts';

/** @throws NotFoundError, ForbiddenError; UnprocessableError for a source that is not staged. */
export async function copyDroplet(
  mutation: Mutation,
  actor: Actor,
  { sourceGuid, appGuid }: { sourceGuid: string; appGuid: string },
): Promise<DropletRow> {
  const { db, now, changed } = mutation;
  const source = await seenDroplet(db, actor, sourceGuid);
  requireDeveloper(actor, appScope(source.app), 'Droplet');
  const app = await writableApp(db, actor, appGuid);
  if (source.row.state !== 'STAGED') throw new UnprocessableError('source droplet is not staged');
  const row: DropletRow = {
    ...source.row,
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    app_guid: app.guid,
    package_guid: null,
    build_guid: null,
  };
  await db.insertInto('droplets').values(row).execute();
  changed('droplet', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  const data = { droplet_guid: row.guid, request: { source_droplet_guid: source.row.guid } };
  await recordAppEvent(mutation, { actor, app, type: 'droplet.create', data });
  return row;
}
