/** What the quotas say to one task more (CF: max_app_tasks_policy.rb, task_max_memory_policy.rb, task_max_instance_memory_policy.rb): the space's, then the organization's. */
import { UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import type { ScopedApp } from '../apps/find-app.ts';
import { quotaUse } from '../processes/quota.ts';
import type { TaskRow } from './create-task.ts';

/** Before the task is written. @throws UnprocessableError */
export async function checkTaskQuota(db: Kysely<Database>, app: ScopedApp, task: TaskRow): Promise<void> {
  const use = await quotaUse(db, app.organization_guid);
  const { running } = await db
    .selectFrom('tasks')
    .where('app_guid', '=', app.guid)
    .where('ended_at', 'is', null)
    .select(eb => eb.fn.countAll<number>().as('running'))
    .executeTakeFirstOrThrow();
  const ofSpace = await db
    .selectFrom('space_quotas')
    .innerJoin('spaces', 'spaces.quota_guid', 'space_quotas.guid')
    .where('spaces.guid', '=', app.space_guid)
    .select(LIMITS('space_quotas'))
    .executeTakeFirst();
  const memoryMb = use.bySpace.get(app.space_guid)?.memoryMb ?? 0;
  if (ofSpace !== undefined) check({ owner: 'space', limit: ofSpace, memoryMb, running }, task);
  const ofOrganization = await db
    .selectFrom('organization_quotas')
    .innerJoin('organizations', 'organizations.quota_guid', 'organization_quotas.guid')
    .where('organizations.guid', '=', app.organization_guid)
    .select(LIMITS('organization_quotas'))
    .executeTakeFirst();
  if (ofOrganization !== undefined)
    check({ owner: 'organization', limit: ofOrganization, memoryMb: use.memoryMb, running }, task);
}

const LIMITS = <T extends 'space_quotas' | 'organization_quotas'>(table: T) =>
  [`${table}.name`, `${table}.total_memory_mb`, `${table}.per_process_memory_mb`, `${table}.per_app_tasks`] as const;

interface Asked {
  owner: 'space' | 'organization';
  limit: {
    name: string;
    total_memory_mb: number | null;
    per_process_memory_mb: number | null;
    per_app_tasks: number | null;
  };
  /** In use, with tasks that have not ended. */
  memoryMb: number;
  /** Tasks of the app that have not ended. */
  running: number;
}

function check({ owner, limit, memoryMb, running }: Asked, task: TaskRow): void {
  const refuse = (words: string, advice: string): never => {
    throw new UnprocessableError(`${words}. The quota is "${limit.name}". ${advice}`);
  };
  if (limit.per_process_memory_mb !== null && task.memory_mb > limit.per_process_memory_mb)
    refuse(
      `memory_in_mb exceeds ${owner} instance memory quota`,
      `Give the task at most ${limit.per_process_memory_mb}M with -m.`,
    );
  if (limit.per_app_tasks !== null && running >= limit.per_app_tasks)
    refuse('app_task_limit quota exceeded', `Wait until one of the ${running} tasks of the app has ended.`);
  if (limit.total_memory_mb !== null && memoryMb + task.memory_mb > limit.total_memory_mb)
    refuse(
      `memory_in_mb exceeds ${owner} memory quota`,
      `${Math.max(0, limit.total_memory_mb - memoryMb)}M of ${limit.total_memory_mb}M are left: ask for less with -m, or stop something.`,
    );
}
