/** Deployments, revisions, tasks and sidecars; what of them the tables of 0001 have to say: a process's revision, a droplet's sidecars. */
import { type Kysely, sql } from 'kysely';
import { makeIndexes, makeTables, STAMPED, type Tables } from './make-tables.ts';

const TABLES: Tables = {
  revisions: {
    ...STAMPED,
    app_guid: 'text',
    version: 'int',
    droplet_guid: 'text',
    environment_sealed: 'text',
    commands_json: 'text',
    sidecars_json: 'text',
    description: 'text',
  },
  deployments: {
    ...STAMPED,
    app_guid: 'text',
    state: 'text',
    status_value: 'text',
    status_reason: 'text',
    status_changed_at: 'int',
    strategy: 'text',
    droplet_guid: 'text?',
    previous_droplet_guid: 'text?',
    revision_guid: 'text?',
    revision_version: 'int?',
    process_guid: 'text?',
    process_type: 'text',
    original_instances: 'int',
    max_in_flight: 'int',
    web_instances: 'int?',
    memory_mb: 'int?',
    disk_mb: 'int?',
    log_rate_limit_bytes: 'int?',
    others_json: 'text',
    last_healthy_at: 'int?',
    error: 'text?',
  },
  tasks: {
    ...STAMPED,
    app_guid: 'text',
    droplet_guid: 'text',
    sequence_id: 'int',
    name: 'text',
    command_sealed: 'text',
    state: 'text',
    memory_mb: 'int',
    disk_mb: 'int',
    log_rate_limit_bytes: 'int',
    failure_reason: 'text?',
    run_spec_guid: 'text',
    ended_at: 'int?',
  },
  sidecars: {
    ...STAMPED,
    app_guid: 'text',
    name: 'text',
    command: 'text',
    process_types_json: 'text',
    memory_mb: 'int?',
    origin: 'text',
  },
};

const UNIQUE: Array<[table: string, columns: string]> = [
  ['tasks', 'app_guid, sequence_id'],
  ['sidecars', 'app_guid, name'],
];
const INDEXES: Array<[table: string, columns: string]> = [
  ['revisions', 'app_guid, created_at'],
  ['revisions', 'droplet_guid'],
  ['deployments', 'app_guid, created_at'],
  ['deployments', 'status_value'],
  ['deployments', 'created_at, guid'],
  ['tasks', 'app_guid, created_at'],
  ['tasks', 'state'],
  ['tasks', 'created_at, guid'],
];

/** Revisions are on for every app, as in CF: the next start of each makes its first one. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, TABLES);
  await makeIndexes(db, 'unique index', UNIQUE);
  await makeIndexes(db, 'index', INDEXES);
  await db.schema.alterTable('processes').addColumn('revision_guid', 'text').execute();
  await db.schema.alterTable('droplets').addColumn('sidecars_json', 'text').execute();
  await sql`update apps set revisions_enabled = 1`.execute(db);
}
