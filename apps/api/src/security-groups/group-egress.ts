/** What the security groups of a space let through: fixed into run specs and build orders, so that a change counts from the next start or build on, as in CF. */
import { type EgressRule, egressOf, type SecurityRule, sizeOfEgress } from '@cupola/model/egress';
import { UnprocessableError } from '@cupola/model/errors';
import { EGRESS_LIMITS } from '@cupola/model/limits';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import type { Phase } from './change-group.ts';

const rulesIn = (rows: ReadonlyArray<{ rules_json: string }>): SecurityRule[] =>
  rows.flatMap(({ rules_json }) => JSON.parse(rules_json) as SecurityRule[]);

/** Of all spaces' groups and the space's own (CF: space.rb, `security_groups` and `staging_security_groups`). */
export async function groupEgress(db: Kysely<Database>, spaceGuid: string, phase: Phase): Promise<EgressRule[]> {
  const groups = await db
    .selectFrom('security_groups')
    .select('rules_json')
    .where(eb =>
      eb.or([
        eb(`${phase}_default`, '=', 1),
        eb(
          'guid',
          'in',
          eb
            .selectFrom('security_group_spaces')
            .select('security_group_guid')
            .where('space_guid', '=', spaceGuid)
            .where('phase', '=', phase),
        ),
      ]),
    )
    .execute();
  return egressOf(rulesIn(groups));
}

/**
 * After a change of groups or of what they are bound to: no space may have more opened than a machine holds.
 * @throws UnprocessableError
 */
export async function requireWithinLimits(db: Kysely<Database>): Promise<void> {
  const groups = await db
    .selectFrom('security_groups')
    .select(['guid', 'rules_json', 'running_default', 'staging_default'])
    .execute();
  const bound = await db.selectFrom('security_group_spaces').selectAll().execute();
  const rules = new Map(groups.map(group => [group.guid, rulesIn([group])]));
  for (const phase of ['running', 'staging'] as const) {
    const ofAll = groups.filter(group => group[`${phase}_default`] === 1).map(({ guid }) => guid);
    const bySpace = Map.groupBy(
      bound.filter(row => row.phase === phase),
      ({ space_guid }) => space_guid,
    );
    // Spaces with the same groups are one case.
    const own = [[], ...bySpace.values()].map(rows => rows.map(row => row.security_group_guid));
    const cases = new Set(own.map(guids => [...new Set([...ofAll, ...guids])].sort().join(' ')));
    for (const guids of cases)
      requireSize(sizeOfEgress(egressOf(guids.split(' ').flatMap(guid => rules.get(guid) ?? []))), phase);
  }
}

function requireSize(size: number, phase: Phase): void {
  if (size <= EGRESS_LIMITS.sizeMax) return;
  throw new UnprocessableError(
    `The ${phase} security groups of one space would open ${size} ranges of addresses and ports, and a machine holds ${EGRESS_LIMITS.sizeMax}. Join neighbouring addresses to networks, or unbind a group.`,
  );
}
