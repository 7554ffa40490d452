/**
 * What an organization's quota says to more memory or more instances. Only what is STARTED counts, and only a change that asks for more is refused: an
 * organization over its quota may always scale down (CF: max_memory_policy.rb, max_instance_memory_policy.rb, max_app_instances_policy.rb).
 */
import { InvalidRequestError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';

export interface QuotaUse {
  memoryMb: number;
  instances: number;
  /** Bytes per second of all limited copies. */
  logRateBytes: number;
  hasUnlimitedLogRate: boolean;
}

/** What the STARTED apps of an organization use by their present settings. Ask before a change, in its transaction. */
export async function quotaUse(db: Kysely<Database>, organizationGuid: string): Promise<QuotaUse> {
  const row = await db
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .where('spaces.organization_guid', '=', organizationGuid)
    .where('apps.state', '=', 'STARTED')
    .where('processes.instances', '>', 0)
    .select(({ fn, eb }) => [
      fn.sum<number | null>(eb('processes.instances', '*', eb.ref('processes.memory_mb'))).as('memory'),
      fn.sum<number | null>('processes.instances').as('instances'),
      fn
        .sum<number | null>(
          eb
            .case()
            .when('processes.log_rate_limit_bytes', '>', 0)
            .then(eb('processes.instances', '*', eb.ref('processes.log_rate_limit_bytes')))
            .else(0)
            .end(),
        )
        .as('log_rate'),
      fn.min<number | null>('processes.log_rate_limit_bytes').as('least_log_rate'),
    ])
    .executeTakeFirstOrThrow();
  return {
    memoryMb: row.memory ?? 0,
    instances: row.instances ?? 0,
    logRateBytes: row.log_rate ?? 0,
    hasUnlimitedLogRate: row.least_log_rate === -1,
  };
}

/**
 * Call after the change, in its transaction, with what `quotaUse` said before it.
 * @throws InvalidRequestError with CF's title and code: AppMemoryQuotaExceeded, QuotaInstanceMemoryLimitExceeded, QuotaInstanceLimitExceeded.
 */
export async function checkQuota(
  db: Kysely<Database>,
  { organizationGuid, appGuid, before }: { organizationGuid: string; appGuid: string; before: QuotaUse },
): Promise<void> {
  const quota = await db
    .selectFrom('organization_quotas')
    .innerJoin('organizations', 'organizations.quota_guid', 'organization_quotas.guid')
    .where('organizations.guid', '=', organizationGuid)
    .selectAll('organization_quotas')
    .executeTakeFirst();
  if (quota === undefined) return;
  const after = await quotaUse(db, organizationGuid);

  if (quota.per_process_memory_mb !== null)
    await checkEachProcess(db, appGuid, quota.per_process_memory_mb, quota.name);
  if (quota.total_memory_mb !== null && after.memoryMb > quota.total_memory_mb && after.memoryMb > before.memoryMb)
    throw new InvalidRequestError(
      `You have exceeded your organization's memory limit: this asks for ${sizeText(after.memoryMb - before.memoryMb)} more, ` +
        `the quota "${quota.name}" has ${sizeText(Math.max(0, quota.total_memory_mb - before.memoryMb))} left of ` +
        `${sizeText(quota.total_memory_mb)}. Ask for less memory or fewer instances, stop another app, or have the quota raised.`,
      'AppMemoryQuotaExceeded',
    );
  if (quota.total_instances !== null && after.instances > quota.total_instances && after.instances > before.instances)
    throw new InvalidRequestError(
      `You have exceeded the instance limit for your organization's quota. The quota "${quota.name}" allows ` +
        `${quota.total_instances} instances, ${before.instances} are in use. Scale something down first.`,
      'QuotaInstanceLimitExceeded',
    );
  const limit = quota.log_rate_limit_bytes;
  if (limit === null) return;
  const grows = after.logRateBytes > before.logRateBytes || (after.hasUnlimitedLogRate && !before.hasUnlimitedLogRate);
  if (grows && (after.logRateBytes > limit || after.hasUnlimitedLogRate))
    throw new InvalidRequestError(
      `log_rate_limit exceeds organization log rate quota: the quota "${quota.name}" allows ${limit} bytes per second in ` +
        'all. Set a lower log rate limit with -l.',
      'UnprocessableEntity',
    );
}

async function checkEachProcess(
  db: Kysely<Database>,
  appGuid: string,
  limitMb: number,
  quotaName: string,
): Promise<void> {
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
    `You have exceeded the instance memory limit for your organization's quota: process "${over.type}" asks for ` +
      `${sizeText(over.memory_mb)}, the quota "${quotaName}" allows ${sizeText(limitMb)} for each. Push with -m ${sizeText(limitMb)}.`,
    'QuotaInstanceMemoryLimitExceeded',
  );
}

function sizeText(mb: number): string {
  return mb > 0 && mb % 1024 === 0 ? `${mb / 1024}G` : `${mb}M`;
}
