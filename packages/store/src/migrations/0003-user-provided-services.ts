/** User-provided service instances, and the apps that they are bound to. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables, STAMPED } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    service_instances: {
      ...STAMPED,
      name: 'text',
      space_guid: 'text',
      tags_json: 'text',
      secrets_sealed: 'text',
      operation: 'text',
      operation_at: 'int',
    },
    service_bindings: { ...STAMPED, name: 'text?', app_guid: 'text', service_instance_guid: 'text' },
  });
  await makeIndexes(db, 'unique index', [
    ['service_instances', 'space_guid, name'],
    ['service_bindings', 'app_guid, service_instance_guid'],
  ]);
  await makeIndexes(db, 'index', [
    ['service_instances', 'name, guid'],
    ['service_instances', 'created_at, guid'],
    ['service_bindings', 'service_instance_guid'],
    ['service_bindings', 'created_at, guid'],
  ]);
}
