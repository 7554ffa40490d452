/** Binds an app to what its manifest names under `services` (CF: app_apply_manifest.rb). What is bound already stays as it is. */
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import type { ScopedApp } from '../apps/find-app.ts';
import { among } from '../pages/filters.ts';
import { bindApp } from '../services/change-binding.ts';
import type { ManifestService } from './manifest-services.ts';

/** @throws UnprocessableError for an instance that is not in the app's space. */
export async function bindManifestServices(
  mutation: Mutation,
  actor: Actor,
  app: ScopedApp,
  services: readonly ManifestService[],
): Promise<void> {
  if (services.length === 0) return;
  const { db } = mutation;
  const names = services.map(({ name }) => name);
  const instances = await db
    .selectFrom('service_instances')
    .selectAll()
    .where('space_guid', '=', app.space_guid)
    .where(among('name', names))
    .execute();
  const bound = await db
    .selectFrom('service_bindings')
    .select('service_instance_guid')
    .where('app_guid', '=', app.guid)
    .execute();
  const done = new Set(bound.map(row => row.service_instance_guid));
  for (const { name, bindingName, hasParameters } of services) {
    const instance = instances.find(row => row.name === name);
    if (instance === undefined)
      throw new UnprocessableError(
        `Service instance '${name}' not found. Make it with cf create-user-provided-service, or take it out of the manifest.`,
      );
    if (done.has(instance.guid)) continue;
    done.add(instance.guid);
    if (hasParameters)
      throw new UnprocessableError(
        `For service '${name}': Binding parameters are not supported for user-provided service instances`,
      );
    await bindApp(mutation, actor, { app, instance, name: bindingName, manifestTriggered: true });
  }
}
