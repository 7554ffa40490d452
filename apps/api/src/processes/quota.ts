/**
 * What the quotas of an organization and of a space say to more memory or more instances. Only what is STARTED counts, and only a change that asks for more
 * is refused: who is over a quota may always scale down (CF: max_memory_policy.rb, max_instance_memory_policy.rb, max_app_instances_policy.rb).
 */
import { InvalidRequestError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import { type Kysely, sql } from 'kysely';

interface Use {
  memoryMb: number;
  instances: number;
  /** Bytes per second of all limited copies. */
  logRateBytes: number;
  hasUnlimitedLogRate: boolean;
}
export interface QuotaUse extends Use {
  /** By guid; spaces in which nothing is started are not there. */
  bySpace: ReadonlyMap<string, Use>;
}

const NOTHING: Use = { memoryMb: 0, instances: 0, logRateBytes: 0, hasUnlimitedLogRate: false };

/** Instances and what each may use are 32 bits, what all of them may use is more than a number of JavaScript holds: as long as it does, this is exact. */
const asDouble = (column: string) => sql<number>`cast(${sql.ref(column)} as double precision)`;

/** What the STARTED apps of an organization use by their present settings. Ask before a change, in its transaction. */
export async function quotaUse(db: Kysely<Database>, organizationGuid: string): Promise<QuotaUse> {
  const rows = await db
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .where('spaces.organization_guid', '=', organizationGuid)
    .where('apps.state', '=', 'STARTED')
    .where('processes.instances', '>', 0)
    .groupBy('apps.space_guid')
    .select(({ fn, eb }) => [
      'apps.space_guid',
      fn.sum<number>(eb('processes.instances', '*', asDouble('processes.memory_mb'))).as('memory'),
      fn.sum<number>('processes.instances').as('instances'),
      fn
        .sum<number>(
          eb
            .case()
            .when('processes.log_rate_limit_bytes', '>', 0)
            .then(eb('processes.instances', '*', asDouble('processes.log_rate_limit_bytes')))
            .else(0)
            .end(),
        )
        .as('log_rate'),
      fn.min<number>('processes.log_rate_limit_bytes').as('least_log_rate'),
    ])
    .execute();
  const bySpace = new Map<string, Use>(
    rows.map(row => [
      row.space_guid,
      {
        memoryMb: row.memory,
        instances: row.instances,
        logRateBytes: row.log_rate,
        hasUnlimitedLogRate: row.least_log_rate === -1,
      },
    ]),
  );
  for (const { space_guid, memory } of await taskMemory(db, organizationGuid)) {
    const use = bySpace.get(space_guid) ?? NOTHING;
    bySpace.set(space_guid, { ...use, memoryMb: use.memoryMb + memory });
  }
  const total = [...bySpace.values()].reduce(
    (sum, use) => ({
      memoryMb: sum.memoryMb + use.memoryMb,
      instances: sum.instances + use.instances,
      logRateBytes: sum.logRateBytes + use.logRateBytes,
      hasUnlimitedLogRate: sum.hasUnlimitedLogRate || use.hasUnlimitedLogRate,
    }),
    NOTHING,
  );
  return { ...total, bySpace };
}

/** Of tasks that have not ended; in CF they take memory of the quota as instances do. */
function taskMemory(
  db: Kysely<Database>,
  organizationGuid: string,
): Promise<Array<{ space_guid: string; memory: number }>> {
  return db
    .selectFrom('tasks')
    .innerJoin('apps', 'apps.guid', 'tasks.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .where('spaces.organization_guid', '=', organizationGuid)
    .where('tasks.ended_at', 'is', null)
    .groupBy('apps.space_guid')
    .select(({ fn }) => ['apps.space_guid', fn.sum<number>('tasks.memory_mb').as('memory')])
    .execute();
}

/** A quota, and the words for whose it is. */
interface Limit {
  owner: 'organization' | 'space';
  ownerName: string;
  name: string;
  total_memory_mb: number | null;
  per_process_memory_mb: number | null;
  total_instances: number | null;
  log_rate_limit_bytes: number | null;
}

const TITLES = {
  organization: {
    memory: 'AppMemoryQuotaExceeded',
    instanceMemory: 'QuotaInstanceMemoryLimitExceeded',
    instances: 'QuotaInstanceLimitExceeded',
  },
  space: {
    memory: 'SpaceQuotaMemoryLimitExceeded',
    instanceMemory: 'SpaceQuotaInstanceMemoryLimitExceeded',
    instances: 'SpaceQuotaInstanceLimitExceeded',
  },
} as const;

/**
 * Call after the change, in its transaction, with what `quotaUse` said before it. The space's quota is asked first, as in CF.
 * @throws InvalidRequestError with CF's title and code: AppMemoryQuotaExceeded, SpaceQuotaInstanceLimitExceeded ...
 */
export async function checkQuota(
  db: Kysely<Database>,
  { organizationGuid, appGuid, before }: { organizationGuid: string; appGuid: string; before: QuotaUse },
): Promise<void> {
  const place = await db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .where('apps.guid', '=', appGuid)
    .select(['apps.space_guid', 'spaces.name as space_name', 'spaces.quota_guid as space_quota_guid'])
    .select(['organizations.name as organization_name', 'organizations.quota_guid'])
    .executeTakeFirst();
  if (place === undefined) return;
  const after = await quotaUse(db, organizationGuid);
  const own = (use: QuotaUse): Use => use.bySpace.get(place.space_guid) ?? NOTHING;

  const ofSpace = await readQuota(db, 'space_quotas', place.space_quota_guid);
  if (ofSpace !== undefined) {
    const limit: Limit = { ...ofSpace, owner: 'space', ownerName: place.space_name };
    await checkLimit(db, limit, { appGuid, before: own(before), after: own(after) });
  }
  const ofOrganization = await readQuota(db, 'organization_quotas', place.quota_guid);
  if (ofOrganization !== undefined) {
    const limit: Limit = { ...ofOrganization, owner: 'organization', ownerName: place.organization_name };
    await checkLimit(db, limit, { appGuid, before, after });
  }
}

async function readQuota(db: Kysely<Database>, table: 'organization_quotas' | 'space_quotas', guid: string | null) {
  if (guid === null) return undefined;
  return db
    .selectFrom(table)
    .select(['name', 'total_memory_mb', 'per_process_memory_mb', 'total_instances', 'log_rate_limit_bytes'])
    .where('guid', '=', guid)
    .executeTakeFirst();
}

async function checkLimit(
  db: Kysely<Database>,
  limit: Limit,
  { appGuid, before, after }: { appGuid: string; before: Use; after: Use },
): Promise<void> {
  const { owner, name, total_memory_mb: memory, total_instances: instances } = limit;
  if (limit.per_process_memory_mb !== null) await checkEachProcess(db, appGuid, limit, limit.per_process_memory_mb);
  if (memory !== null && after.memoryMb > memory && after.memoryMb > before.memoryMb)
    throw new InvalidRequestError(
      `You have exceeded your ${owner}'s memory limit: this asks for ${sizeText(after.memoryMb - before.memoryMb)} more, ` +
        `the quota "${name}" has ${sizeText(Math.max(0, memory - before.memoryMb))} left of ` +
        `${sizeText(memory)}. Ask for less memory or fewer instances, stop another app, or have the quota raised.`,
      TITLES[owner].memory,
    );
  if (instances !== null && after.instances > instances && after.instances > before.instances)
    throw new InvalidRequestError(
      `You have exceeded the instance limit for your ${owner}'s quota. The quota "${name}" allows ` +
        `${instances} instances, ${before.instances} are in use. Scale something down first.`,
      TITLES[owner].instances,
    );
  checkLogRate(limit, before, after);
}

function checkLogRate({ owner, ownerName, name, log_rate_limit_bytes: bytes }: Limit, before: Use, after: Use): void {
  if (bytes === null) return;
  const refuse = (text: string): never => {
    throw new InvalidRequestError(text, 'UnprocessableEntity');
  };
  if (after.hasUnlimitedLogRate && (!before.hasUnlimitedLogRate || after.instances > before.instances))
    refuse(
      `log_rate_limit cannot be unlimited in ${owner} '${ownerName}': the quota "${name}" allows ${bytes} bytes per second ` +
        'in all. Set a log rate limit with -l.',
    );
  if (after.logRateBytes > before.logRateBytes && after.logRateBytes > bytes)
    refuse(
      `log_rate_limit exceeds ${owner} log rate quota: the quota "${name}" allows ${bytes} bytes per second in ` +
        'all. Set a lower log rate limit with -l.',
    );
}

async function checkEachProcess(db: Kysely<Database>, appGuid: string, limit: Limit, limitMb: number): Promise<void> {
  const over = await db
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .where('processes.app_guid', '=', appGuid)
    .where('apps.state', '=', 'STARTED')
    .where('processes.memory_mb', '>', limitMb)
    .select(['processes.type', 'processes.memory_mb'])
    .executeTakeFirst();
  if (over === undefined) return;
  throw new InvalidRequestError(
    `You have exceeded the instance memory limit for your ${limit.owner}'s quota: process "${over.type}" asks for ` +
      `${sizeText(over.memory_mb)}, the quota "${limit.name}" allows ${sizeText(limitMb)} for each. Push with -m ${sizeText(limitMb)}.`,
    TITLES[limit.owner].instanceMemory,
  );
}

function sizeText(mb: number): string {
  return mb > 0 && mb % 1024 === 0 ? `${mb / 1024}G` : `${mb}M`;
}
