/** What happened to an app: one audit event in the same transaction, in CF's types and words (CF: app_event_repository.rb, process_event_repository.rb). */
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { recordEvent } from '../events/record.ts';
import type { ScopedApp } from './find-app.ts';

export type AppEventType =
  | 'create'
  | 'update'
  | 'start'
  | 'stop'
  | 'restart'
  | 'delete-request'
  | 'apply_manifest'
  | 'map-route'
  | 'unmap-route'
  | 'droplet.mapped'
  | 'droplet.create'
  | 'droplet.upload'
  | 'droplet.delete'
  | 'package.create'
  | 'package.upload'
  | 'package.delete'
  | 'build.create'
  | 'environment.show'
  | 'environment_variables.show'
  | 'revision.create'
  | 'revision.environment_variables.show'
  | 'deployment.create'
  | 'deployment.cancel'
  | 'deployment.continue'
  | 'task.create'
  | 'task.cancel'
  | 'process.create'
  | 'process.update'
  | 'process.scale'
  | 'process.terminate_instance';

export async function recordAppEvent(
  mutation: Mutation,
  { actor, app, type, data = {} }: { actor: Actor; app: ScopedApp; type: AppEventType; data?: Record<string, unknown> },
): Promise<void> {
  await recordEvent(mutation, {
    type: `audit.app.${type}`,
    actor,
    target: { type: 'app', guid: app.guid, name: app.name },
    spaceGuid: app.space_guid,
    organizationGuid: app.organization_guid,
    data,
  });
}
