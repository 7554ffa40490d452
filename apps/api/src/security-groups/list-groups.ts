/** Security groups as lists and answers show them, and the lists (CF: security_group_list_fetcher.rb). */
import { pageOf } from '@cupola/contract/v3/parts';
import { securityGroupAnswer } from '@cupola/contract/v3/security-group';
import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { all, among, type Condition, commonConditions, inSeenSpace, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { seenSpace } from '../spaces/find-space.ts';
import { type GroupRow, type Phase, seenGroups } from './change-group.ts';

/** Spaces that are bound to these groups, as far as the actor may see them. */
export async function boundSpaces({ store }: ApiDeps, actor: Actor, groupGuids: readonly string[]) {
  return inChunks(groupGuids, some =>
    store.read
      .selectFrom('security_group_spaces')
      .selectAll()
      .where(all([among('security_group_guid', some), inSeenSpace(actor, 'security_group_spaces.space_guid')]))
      .orderBy('space_guid')
      .execute(),
  );
}

export async function presentGroups(deps: ApiDeps, actor: Actor, groups: readonly GroupRow[]) {
  const bound = await boundSpaces(
    deps,
    actor,
    groups.map(({ guid }) => guid),
  );
  const byGroup = Map.groupBy(bound, row => row.security_group_guid);
  return groups.map(group => {
    const spaces = (phase: Phase) => ({
      data: (byGroup.get(group.guid) ?? []).flatMap(row => (row.phase === phase ? [{ guid: row.space_guid }] : [])),
    });
    return {
      guid: group.guid,
      created_at: isoTime(group.created_at),
      updated_at: isoTime(group.updated_at),
      name: group.name,
      rules: JSON.parse(group.rules_json) as unknown[],
      globally_enabled: { running: group.running_default === 1, staging: group.staging_default === 1 },
      relationships: { running_spaces: spaces('running'), staging_spaces: spaces('staging') },
      links: { self: { href: `${deps.config.publicUrl}/v3/security_groups/${group.guid}` } },
    };
  });
}

const { label_selector: _labels, ...unlabelled } = listQuery;
const truth = (label: string) =>
  z.enum(['true', 'false'], { error: `${label} must be 'true' or 'false'` }).exactOptional();
const query = z.strictObject({
  ...unlabelled,
  names: commaList.exactOptional(),
  running_space_guids: commaList.exactOptional(),
  staging_space_guids: commaList.exactOptional(),
  globally_enabled_running: truth('Globally enabled running'),
  globally_enabled_staging: truth('Globally enabled staging'),
  order_by: orderBy('name'),
});

function filters(asked: z.infer<typeof query>): Condition[] {
  const conditions = commonConditions('security_groups', asked);
  if (asked.names !== undefined) conditions.push(among('security_groups.name', asked.names));
  for (const phase of ['running', 'staging'] as const) {
    const spaces = asked[`${phase}_space_guids`];
    if (spaces !== undefined) conditions.push(boundTo(phase, spaces));
    const isDefault = asked[`globally_enabled_${phase}`];
    if (isDefault !== undefined)
      conditions.push(sql`${sql.ref(`security_groups.${phase}_default`)} = ${isDefault === 'true' ? 1 : 0}`);
  }
  return conditions;
}

function boundTo(phase: Phase, spaceGuids: readonly string[]): Condition {
  return sql<SqlBool>`security_groups.guid in (select security_group_guid from security_group_spaces
    where phase = ${phase} and ${among('space_guid', spaceGuids)})`;
}

const listGroups = endpoint({
  method: 'GET',
  path: '/v3/security_groups',
  summary: 'Security groups of all spaces, and of those that the asker may see',
  query,
  responseSchema: pageOf(securityGroupAnswer),
  handle: async (deps, request) => {
    const conditions = [seenGroups(request.actor), ...filters(request.query)];
    const listed = await listRows(deps.store.read, 'security_groups', request.query, { conditions });
    const resources = await presentGroups(deps, request.actor, listed.rows);
    const { ask, total, after } = listed;
    return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
  },
});

/** Those that count in a space: its own, and those of all spaces. */
function ofSpace(phase: Phase): Endpoint {
  return endpoint({
    method: 'GET',
    path: `/v3/spaces/:guid/${phase}_security_groups`,
    summary: `Security groups that count in a space while ${phase}`,
    query: z.strictObject({ ...unlabelled, names: commaList.exactOptional(), order_by: orderBy('name') }),
    responseSchema: pageOf(securityGroupAnswer),
    handle: async (deps, request) => {
      const space = await seenSpace(deps.store.read, request.actor, request.params.guid ?? '');
      const isDefault = sql`${sql.ref(`security_groups.${phase}_default`)} = 1`;
      const conditions: Condition[] = [
        sql`(${isDefault} or ${boundTo(phase, [space.guid])})`,
        ...commonConditions('security_groups', request.query),
      ];
      if (request.query.names !== undefined) conditions.push(among('security_groups.name', request.query.names));
      const listed = await listRows(deps.store.read, 'security_groups', request.query, { conditions });
      const resources = await presentGroups(deps, request.actor, listed.rows);
      const { ask, total, after } = listed;
      return { status: 200, body: pageBody(request, ask, { total, resources, after }) };
    },
  });
}

export const listGroupEndpoints: Endpoint[] = [listGroups, ofSpace('running'), ofSpace('staging')];
