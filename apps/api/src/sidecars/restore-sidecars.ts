import { randomUUID } from 'node:crypto';
import type { RevisionSidecar } from '@cupola/model/revisions';
import type { Mutation } from '@cupola/store/store';
import type { ScopedApp } from '../apps/find-app.ts';

/** An app's sidecars are those of a revision again (CF: deployment_target_state.rb); as there they count as the user's own from then on. */
export async function restoreSidecars(
  { db, now }: Mutation,
  app: ScopedApp,
  sidecars: readonly RevisionSidecar[],
): Promise<void> {
  await db.deleteFrom('sidecars').where('app_guid', '=', app.guid).execute();
  for (const { name, command, processTypes, memoryMb } of sidecars)
    await db
      .insertInto('sidecars')
      .values({
        guid: randomUUID(),
        created_at: now,
        updated_at: now,
        app_guid: app.guid,
        name,
        command,
        process_types_json: JSON.stringify(processTypes),
        memory_mb: memoryMb,
        origin: 'user',
      })
      .execute();
}
