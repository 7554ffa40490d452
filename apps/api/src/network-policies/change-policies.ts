/** Making and deleting network policies inside a mutation: who may (CF: policy_guard.go), and how many (CF: quota_guard.go). */
import { randomUUID } from 'node:crypto';
import type { NetworkPolicyBody } from '@cupola/contract/v3/network-policy';
import { ForbiddenError } from '@cupola/model/errors';
import { EGRESS_LIMITS } from '@cupola/model/limits';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { holdsInSpace, requireActive } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { inChunks } from '../internal/views/in-chunks.ts';

/** Whose apps policies are about. */
const WRITERS = ['space_developer', 'space_manager'] as const;

/** Of these apps, those whose policies the actor may see and change. */
export async function ownedApps(
  db: Kysely<Database>,
  actor: Actor,
  appGuids: readonly string[],
): Promise<Array<{ guid: string; organizationGuid: string }>> {
  const apps = await inChunks([...new Set(appGuids)], some =>
    db
      .selectFrom('apps')
      .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
      .where('apps.guid', 'in', some)
      .select(['apps.guid', 'apps.space_guid', 'spaces.organization_guid'])
      .execute(),
  );
  return apps
    .filter(({ space_guid }) => holdsInSpace(actor, space_guid, WRITERS))
    .map(({ guid, organization_guid }) => ({ guid, organizationGuid: organization_guid }));
}

/** @throws ForbiddenError unless both ends of each are the actor's to connect. */
async function requireOwned(db: Kysely<Database>, actor: Actor, policies: readonly NetworkPolicyBody[]): Promise<void> {
  const guids = policies.flatMap(({ source, destination }) => [source.id, destination.id]);
  const owned = await ownedApps(db, actor, guids);
  if (guids.some(guid => !owned.some(app => app.guid === guid)))
    throw new ForbiddenError('one or more applications cannot be found or accessed');
  for (const { organizationGuid } of owned) requireActive(actor, organizationGuid);
}

async function requireQuota(db: Kysely<Database>, actor: Actor, policies: readonly NetworkPolicyBody[]): Promise<void> {
  if (actor.isAdmin) return;
  const bySource = Map.groupBy(policies, ({ source }) => source.id);
  for (const [guid, added] of bySource) {
    const { count } = await db
      .selectFrom('network_policies')
      .where('source_app_guid', '=', guid)
      .select(eb => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    if (count + added.length > EGRESS_LIMITS.policiesPerSourceMax)
      throw new ForbiddenError(
        `policy quota exceeded: an app has at most ${EGRESS_LIMITS.policiesPerSourceMax} policies as their source. Remove one, or name a range of ports.`,
      );
  }
}

const rowOf = ({ source, destination }: NetworkPolicyBody) => ({
  source_app_guid: source.id,
  destination_app_guid: destination.id,
  protocol: destination.protocol,
  first_port: destination.ports.start,
  last_port: destination.ports.end,
});

/** Those that are there already stay. @throws ForbiddenError */
export async function createPolicies(
  { db, now, changed }: Mutation,
  actor: Actor,
  policies: readonly NetworkPolicyBody[],
): Promise<void> {
  await requireOwned(db, actor, policies);
  await requireQuota(db, actor, policies);
  for (const policy of policies) {
    const guid = randomUUID();
    await db
      .insertInto('network_policies')
      .values({ guid, created_at: now, ...rowOf(policy) })
      .onConflict(conflict => conflict.doNothing())
      .execute();
    changed('network_policy', guid);
  }
}

/** Those that are not there are none to delete. @throws ForbiddenError */
export async function deletePolicies(
  { db, changed }: Mutation,
  actor: Actor,
  policies: readonly NetworkPolicyBody[],
): Promise<void> {
  await requireOwned(db, actor, policies);
  for (const policy of policies) {
    const row = rowOf(policy);
    const gone = await db
      .deleteFrom('network_policies')
      .where(({ and, eb }) => and(Object.entries(row).map(([key, value]) => eb(key as keyof typeof row, '=', value))))
      .returning('guid')
      .execute();
    for (const { guid } of gone) changed('network_policy', guid);
  }
}

/** With their app. */
export async function deletePoliciesOf({ db, changed }: Mutation, appGuid: string): Promise<void> {
  const gone = await db
    .deleteFrom('network_policies')
    .where(({ or, eb }) => or([eb('source_app_guid', '=', appGuid), eb('destination_app_guid', '=', appGuid)]))
    .returning('guid')
    .execute();
  for (const { guid } of gone) changed('network_policy', guid);
}
