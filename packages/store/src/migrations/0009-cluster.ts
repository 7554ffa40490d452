/** Several machines: who is a member and may become one, where a cell takes connections for its instances, and which of them shall be emptied. */
import type { Kysely } from 'kysely';
import { addColumns, makeTables } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    cluster_authority: { name: 'key', certificate: 'text', key_sealed: 'text', created_at: 'int' },
    members: {
      id: 'key',
      host_name: 'text',
      roles_json: 'text',
      joined_at: 'int',
      renewed_at: 'int',
      removed_at: 'int?',
    },
    join_tokens: {
      token_hash: 'key',
      roles_json: 'text',
      created_at: 'int',
      expires_at: 'int',
      used_by: 'text?',
    },
    build_heartbeats: { build_guid: 'key', fence: 'int', counter: 'int' },
  });
  await addColumns(db, 'cells', { forward_host: 'text?', forward_port: 'int?', drained_at: 'int?' });
}
