/** Space quotas, security groups, isolation segments, buildpacks and stacks of one's own, usage events, one-time passcodes. */
import type { Kysely } from 'kysely';
import { makeIndexes, makeTables, STAMPED } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await makeTables(db, {
    space_quotas: {
      ...STAMPED,
      name: 'text',
      organization_guid: 'text',
      total_memory_mb: 'int?',
      per_process_memory_mb: 'int?',
      total_instances: 'int?',
      log_rate_limit_bytes: 'int?',
      total_services: 'int?',
      paid_services_allowed: 'int',
      total_routes: 'int?',
      total_reserved_ports: 'int?',
      per_app_tasks: 'int?',
      total_service_keys: 'int?',
    },
    security_groups: {
      ...STAMPED,
      name: 'text',
      rules_json: 'text',
      running_default: 'int',
      staging_default: 'int',
    },
    security_group_spaces: { security_group_guid: 'text', space_guid: 'text', phase: 'text' },
    isolation_segments: { ...STAMPED, name: 'text' },
    isolation_segment_organizations: { isolation_segment_guid: 'text', organization_guid: 'text' },
    buildpacks: {
      ...STAMPED,
      name: 'text',
      stack: 'text?',
      lifecycle: 'text',
      filename: 'text?',
      position: 'int',
      enabled: 'int',
      locked: 'int',
      digest: 'text?',
      size_bytes: 'int?',
    },
    stacks: { ...STAMPED, name: 'text', description: 'text', state: 'text', state_reason: 'text?' },
    usage_events: { ...STAMPED, kind: 'text', data_json: 'text' },
    passcodes: { code_hash: 'key', user_guid: 'text', expires_at: 'int' },
  });
  await db.schema.alterTable('spaces').addColumn('quota_guid', 'text').execute();
  await db.schema.alterTable('spaces').addColumn('isolation_segment_guid', 'text').execute();
  await db.schema.alterTable('organizations').addColumn('default_isolation_segment_guid', 'text').execute();
  await makeIndexes(db, 'unique index', [
    ['space_quotas', 'organization_guid, lower(name)'],
    ['security_groups', 'name'],
    ['security_group_spaces', 'security_group_guid, space_guid, phase'],
    ['isolation_segments', 'lower(name)'],
    ['isolation_segment_organizations', 'isolation_segment_guid, organization_guid'],
    ['stacks', 'name'],
  ]);
  await makeIndexes(db, 'index', [
    ['space_quotas', 'created_at, guid'],
    ['security_groups', 'created_at, guid'],
    ['security_group_spaces', 'space_guid'],
    ['isolation_segments', 'created_at, guid'],
    ['isolation_segment_organizations', 'organization_guid'],
    ['buildpacks', 'position'],
    ['spaces', 'quota_guid'],
    ['usage_events', 'kind, created_at, guid'],
    ['passcodes', 'expires_at'],
  ]);
}
