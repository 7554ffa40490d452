/** What the quota says to one task more (CF: max_app_tasks_policy.rb, task_max_memory_policy.rb, task_max_instance_memory_policy.rb). */
import { UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import type { ScopedApp } from '../apps/find-app.ts';
import { quotaUse } from '../processes/quota.ts';
import type { TaskRow } from './create-task.ts';

/** Before the task is written. @throws UnprocessableError */
export async function checkTaskQuota(db: Kysely<Database>, app: ScopedApp, task: TaskRow): Promise<void> {
  const quota = await db
    .selectFrom('organization_quotas')
    .innerJoin('organizations', 'organizations.quota_guid', 'organization_quotas.guid')
    .where('organizations.guid', '=', app.organization_guid)
    .selectAll('organization_quotas')
    .executeTakeFirst();
  if (quota === undefined) return;
  const refuse = (words: string, advice: string): never => {
    throw new UnprocessableError(`${words}. The quota is "${quota.name}". ${advice}`);
  };
  if (quota.per_process_memory_mb !== null && task.memory_mb > quota.per_process_memory_mb)
    refuse(
      'memory_in_mb exceeds organization instance memory quota',
      `Give the task at most ${quota.per_process_memory_mb}M with -m.`,
    );
  const running = await activeTasks(db, app.organization_guid);
  if (quota.per_app_tasks !== null && running.filter(one => one.app_guid === app.guid).length >= quota.per_app_tasks)
    refuse('app_task_limit quota exceeded', `Wait until one of the ${quota.per_app_tasks} tasks of the app has ended.`);
  if (quota.total_memory_mb === null) return;
  const { memoryMb } = await quotaUse(db, app.organization_guid);
  const used = memoryMb + running.reduce((sum, one) => sum + one.memory_mb, 0);
  if (used + task.memory_mb > quota.total_memory_mb)
    refuse(
      'memory_in_mb exceeds organization memory quota',
      `${Math.max(0, quota.total_memory_mb - used)}M of ${quota.total_memory_mb}M are left: ask for less with -m, or stop something.`,
    );
}

async function activeTasks(
  db: Kysely<Database>,
  organizationGuid: string,
): Promise<Array<{ app_guid: string; memory_mb: number }>> {
  return db
    .selectFrom('tasks')
    .innerJoin('apps', 'apps.guid', 'tasks.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .where('spaces.organization_guid', '=', organizationGuid)
    .where('tasks.state', 'in', ['PENDING', 'RUNNING', 'CANCELING'])
    .select(['tasks.app_guid', 'tasks.memory_mb'])
    .execute();
}
