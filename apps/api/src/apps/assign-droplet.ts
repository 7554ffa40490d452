/** Makes a droplet an app's current one (CF: app_assign_droplet.rb, process_create_from_app_droplet.rb). Runs inside a mutation; nothing that runs changes. */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { createProcess } from '../processes/change-process.ts';
import type { ScopedApp } from './find-app.ts';

const UNABLE = 'Unable to assign current droplet. Ensure the droplet exists and belongs to this app.';

/** @returns the types of processes that were made for it. Detected commands of all processes follow the droplet. */
export async function assignDroplet(
  mutation: Mutation,
  app: ScopedApp,
  dropletGuid: string,
): Promise<Array<{ guid: string; type: string }>> {
  const { db, now, changed } = mutation;
  const droplet = await db
    .selectFrom('droplets')
    .select(['guid', 'state', 'process_types_json'])
    .where('guid', '=', dropletGuid)
    .where('app_guid', '=', app.guid)
    .executeTakeFirst();
  if (droplet === undefined || droplet.state !== 'STAGED') throw new UnprocessableError(UNABLE);
  const commands = JSON.parse(droplet.process_types_json) as Record<string, string>;
  await db
    .updateTable('apps')
    .set({ current_droplet_guid: droplet.guid, updated_at: now })
    .where('guid', '=', app.guid)
    .execute();
  changed('app', app.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });

  const processes = await db.selectFrom('processes').selectAll().where('app_guid', '=', app.guid).execute();
  for (const process of processes) {
    const detected = commands[process.type] ?? null;
    if (detected === process.detected_command) continue;
    await db
      .updateTable('processes')
      .set({ detected_command: detected, updated_at: now })
      .where('guid', '=', process.guid)
      .execute();
  }
  const made: Array<{ guid: string; type: string }> = [];
  for (const [type, command] of Object.entries(commands)) {
    if (processes.some(process => process.type === type)) continue;
    const guid = type === 'web' ? app.guid : randomUUID();
    await createProcess(mutation, app, { guid, type, detected_command: command });
    made.push({ guid, type });
  }
  return made;
}
