/** Which apps reach which others. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    network_policies: {
      guid: 'key',
      created_at: 'int',
      source_app_guid: 'text',
      destination_app_guid: 'text',
      protocol: 'text',
      first_port: 'int',
      last_port: 'int',
    },
  });
  await makeIndexes(db, 'unique index', [
    ['network_policies', 'source_app_guid, destination_app_guid, protocol, first_port, last_port'],
  ]);
  await makeIndexes(db, 'index', [['network_policies', 'destination_app_guid']]);
}
