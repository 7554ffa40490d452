/** What may not change under a deployment that is on its way (CF: process_scale.rb, process_update.rb, apps_controller.rb). */
import { isProgressing } from '@cupola/model/deployments';
import { UnprocessableError } from '@cupola/model/errors';
import type { Database, DeploymentsTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';

export type DeploymentRow = Selectable<DeploymentsTable>;

/** The one that is on its way; a new one supersedes it, so there is never a second. */
export async function activeDeployment(db: Kysely<Database>, appGuid: string): Promise<DeploymentRow | undefined> {
  return db
    .selectFrom('deployments')
    .selectAll()
    .where('app_guid', '=', appGuid)
    .where('status_value', '=', 'ACTIVE')
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
}

export async function isDeploying(db: Kysely<Database>, appGuid: string): Promise<boolean> {
  const active = await activeDeployment(db, appGuid);
  return active !== undefined && isProgressing(active.state);
}

/** @throws UnprocessableError for a `web` process whose app is being deployed. */
export async function refuseInFlight(
  db: Kysely<Database>,
  process: { app_guid: string; type: string },
  verb: 'scale' | 'update',
): Promise<void> {
  if (process.type !== 'web' || !(await isDeploying(db, process.app_guid))) return;
  throw new UnprocessableError(`Cannot ${verb} this process while a deployment is in flight.`);
}
