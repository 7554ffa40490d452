/** What an app finds of the services that it is bound to: `VCAP_SERVICES` (CF: service_binding_presenter.rb), and where its log lines are to go. */

import { databaseUrl } from '@cupola/model/database-url';
import type { Database } from '@cupola/store/schema';
import type { Sealer } from '@cupola/store/seal';
import type { Kysely } from 'kysely';
import { openSecrets } from './secrets.ts';

export interface BoundServices {
  /** By label, as CF groups them; `{}` when there is none. */
  vcapServices: Record<string, Array<Record<string, unknown>>>;
  /** `DATABASE_URL`, where one of them is a database. */
  databaseUrl: string | null;
  /** Each URL once, oldest binding first. */
  syslogDrains: string[];
}

export async function boundServices(db: Kysely<Database>, sealer: Sealer, appGuid: string): Promise<BoundServices> {
  const rows = await db
    .selectFrom('service_bindings')
    .innerJoin('service_instances', 'service_instances.guid', 'service_bindings.service_instance_guid')
    .where('service_bindings.app_guid', '=', appGuid)
    .select([
      'service_bindings.guid as binding_guid',
      'service_bindings.name as binding_name',
      'service_instances.guid as instance_guid',
      'service_instances.name as instance_name',
      'service_instances.tags_json',
      'service_instances.secrets_sealed',
    ])
    .orderBy('service_bindings.created_at')
    .orderBy('service_bindings.guid')
    .execute();
  const drains: string[] = [];
  const entries = rows.map(row => {
    const { credentials, syslogDrainUrl } = openSecrets(sealer, row.secrets_sealed);
    if (syslogDrainUrl !== null && !drains.includes(syslogDrainUrl)) drains.push(syslogDrainUrl);
    return {
      label: 'user-provided',
      name: row.binding_name || row.instance_name,
      tags: JSON.parse(row.tags_json) as string[],
      instance_guid: row.instance_guid,
      instance_name: row.instance_name,
      binding_guid: row.binding_guid,
      binding_name: row.binding_name,
      credentials,
      syslog_drain_url: syslogDrainUrl,
      volume_mounts: [],
    };
  });
  return {
    vcapServices: entries.length === 0 ? {} : { 'user-provided': entries },
    databaseUrl: databaseUrl(entries.map(({ credentials }) => credentials.uri)),
    syslogDrains: drains,
  };
}
