/**
 * Isolation segments (CF: isolation_segments_controller.rb): made, entitled and assigned as in CF. Machines say at their start in which one they are; while none
 * is in a segment, answers that put something into it say so.
 */
import {
  assignSegment,
  createIsolationSegment as createBody,
  entitleOrganizations,
  isolationSegmentAnswer,
  updateIsolationSegment as updateBody,
} from '@cupola/contract/v3/isolation-segment';
import { pageOf } from '@cupola/contract/v3/parts';
import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { NO_CONTENT } from '../http/replies.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { readMetadata } from '../metadata/metadata.ts';
import { managedOrganization, seenOrganization } from '../organizations/find-organization.ts';
import {
  among,
  commonConditions,
  inSeenOrganization,
  inSeenSpace,
  listQuery,
  named,
  orderBy,
} from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { requireInSpace, seenSpace } from '../spaces/find-space.ts';
import {
  assignToOrganization,
  assignToSpace,
  createSegment,
  deleteSegment,
  entitle,
  revoke,
  updateSegment,
} from './change-segment.ts';
import { type SegmentRow, seenSegment, seenSegments, warnOfNoCell } from './find-segment.ts';

async function present({ store, config }: ApiDeps, segments: readonly SegmentRow[]) {
  const metadata = await readMetadata(
    store.read,
    'isolation_segment',
    segments.map(({ guid }) => guid),
  );
  return segments.map(({ guid, created_at, updated_at, name }) => {
    const self = `${config.publicUrl}/v3/isolation_segments/${guid}`;
    return {
      guid,
      created_at: isoTime(created_at),
      updated_at: isoTime(updated_at),
      name,
      metadata: metadata.get(guid) ?? { labels: {}, annotations: {} },
      links: { self: { href: self }, organizations: { href: `${self}/organizations` } },
    };
  });
}

async function show(deps: ApiDeps, segment: SegmentRow) {
  return (await present(deps, [segment]))[0];
}

/** Organizations that are entitled to it, as far as the actor may see them. */
async function entitledOf({ store, config }: ApiDeps, actor: Actor, guid: string) {
  const rows = await store.read
    .selectFrom('isolation_segment_organizations')
    .select('organization_guid as guid')
    .where('isolation_segment_guid', '=', guid)
    .where(inSeenOrganization(actor, 'organization_guid'))
    .orderBy('organization_guid')
    .execute();
  const self = `${config.publicUrl}/v3/isolation_segments/${guid}`;
  const links = {
    self: { href: `${self}/relationships/organizations` },
    related: { href: `${self}/organizations` },
  };
  return { data: rows, links };
}

const ONE = '/v3/isolation_segments/:guid';

const segmentEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/isolation_segments',
    summary: 'Isolation segments that the organizations of the asker are entitled to',
    query: z.strictObject({
      ...listQuery,
      names: commaList.exactOptional(),
      organization_guids: commaList.exactOptional(),
      order_by: orderBy('name'),
    }),
    responseSchema: pageOf(isolationSegmentAnswer),
    handle: async (deps, request) => {
      const { query, actor } = request;
      const conditions = [seenSegments(actor), ...commonConditions('isolation_segments', query)];
      if (query.names !== undefined) conditions.push(named('isolation_segments.name', query.names));
      if (query.organization_guids !== undefined)
        conditions.push(sql<SqlBool>`isolation_segments.guid in (select isolation_segment_guid
          from isolation_segment_organizations where ${among('organization_guid', query.organization_guids)})`);
      if (query.label_selector !== undefined)
        conditions.push(labelSelectorCondition('isolation_segment', 'isolation_segments.guid', query.label_selector));
      const { ask, total, rows, after } = await listRows(deps.store.read, 'isolation_segments', query, { conditions });
      return { status: 200, body: pageBody(request, ask, { total, resources: await present(deps, rows), after }) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/isolation_segments',
    summary: 'Make an isolation segment',
    bodySchema: createBody,
    responseSchema: isolationSegmentAnswer,
    handle: async (deps, { actor, body }) => {
      requireAdmin(actor);
      const made = await deps.store.mutate(mutation => createSegment(mutation, body));
      return { status: 201, body: await show(deps, made), warnings: await warnOfNoCell(deps.store.read, made) };
    },
  }),
  endpoint({
    method: 'GET',
    path: ONE,
    summary: 'One isolation segment',
    responseSchema: isolationSegmentAnswer,
    handle: async (deps, { actor, params }) => ({
      status: 200,
      body: await show(deps, await seenSegment(deps.store.read, actor, params.guid ?? '')),
    }),
  }),
  endpoint({
    method: 'PATCH',
    path: ONE,
    summary: 'Rename or label an isolation segment that is not in use',
    bodySchema: updateBody,
    responseSchema: isolationSegmentAnswer,
    handle: async (deps, { actor, params, body }) => {
      requireAdmin(actor);
      const updated = await deps.store.mutate(async mutation =>
        updateSegment(mutation, await seenSegment(mutation.db, actor, params.guid ?? ''), body),
      );
      return { status: 200, body: await show(deps, updated) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: ONE,
    summary: 'Delete an isolation segment that nobody is entitled to',
    handle: async (deps, { actor, params }) => {
      requireAdmin(actor);
      await deps.store.mutate(async mutation =>
        deleteSegment(mutation, await seenSegment(mutation.db, actor, params.guid ?? '')),
      );
      return NO_CONTENT;
    },
  }),
];

const relationEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${ONE}/relationships/organizations`,
    summary: 'Organizations that are entitled to an isolation segment',
    handle: async (deps, { actor, params }) => {
      const { guid } = await seenSegment(deps.store.read, actor, params.guid ?? '');
      return { status: 200, body: await entitledOf(deps, actor, guid) };
    },
  }),
  endpoint({
    method: 'POST',
    path: `${ONE}/relationships/organizations`,
    summary: 'Entitle organizations to an isolation segment',
    bodySchema: entitleOrganizations,
    handle: async (deps, { actor, params, body }) => {
      requireAdmin(actor);
      const { guid } = await deps.store.mutate(async mutation => {
        const segment = await seenSegment(mutation.db, actor, params.guid ?? '');
        const guids = body.data.map(organization => organization.guid);
        await entitle(mutation, segment, guids);
        return segment;
      });
      return { status: 200, body: await entitledOf(deps, actor, guid) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: `${ONE}/relationships/organizations/:organization`,
    summary: 'Take the entitlement to an isolation segment from an organization',
    handle: async (deps, { actor, params }) => {
      requireAdmin(actor);
      await deps.store.mutate(async mutation => {
        const segment = await seenSegment(mutation.db, actor, params.guid ?? '');
        await revoke(mutation, segment, params.organization ?? '');
      });
      return NO_CONTENT;
    },
  }),
  endpoint({
    method: 'GET',
    path: `${ONE}/relationships/spaces`,
    summary: 'Spaces that are in an isolation segment',
    handle: async ({ store, config }, { actor, params }) => {
      const { guid } = await seenSegment(store.read, actor, params.guid ?? '');
      const data = await store.read
        .selectFrom('spaces')
        .select('guid')
        .where('isolation_segment_guid', '=', guid)
        .where(inSeenSpace(actor, 'guid'))
        .orderBy('created_at')
        .execute();
      const self = `${config.publicUrl}/v3/isolation_segments/${guid}/relationships/spaces`;
      return { status: 200, body: { data, links: { self: { href: self } } } };
    },
  }),
];

/** A resource's segment, as CF shows a relationship to one. */
function presentAssigned(baseUrl: string, path: string, guid: string | null) {
  const related = guid === null ? {} : { related: { href: `${baseUrl}/v3/isolation_segments/${guid}` } };
  return {
    data: guid === null ? null : { guid },
    links: { self: { href: `${baseUrl}/v3/${path}` }, ...related },
  };
}

const ORGANIZATION = '/v3/organizations/:guid/relationships/default_isolation_segment';
const SPACE = '/v3/spaces/:guid/relationships/isolation_segment';
const toOrganization = (guid: string) => `organizations/${guid}/relationships/default_isolation_segment`;
const toSpace = (guid: string) => `spaces/${guid}/relationships/isolation_segment`;

const assignmentEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: ORGANIZATION,
    summary: 'Default isolation segment of an organization',
    handle: async ({ store, config }, { actor, params }) => {
      const found = await seenOrganization(store.read, actor, params.guid ?? '');
      const body = presentAssigned(config.publicUrl, toOrganization(found.guid), found.default_isolation_segment_guid);
      return { status: 200, body };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: ORGANIZATION,
    summary: 'Choose the default isolation segment of an organization, or none',
    bodySchema: assignSegment,
    handle: async ({ store, config }, { actor, params, body }) => {
      const chosen = body.data?.guid ?? null;
      const { guid } = await store.mutate(async mutation => {
        const found = await managedOrganization(mutation.db, actor, params.guid ?? '');
        await assignToOrganization(mutation, found.guid, chosen);
        return found;
      });
      const warnings = await warnOfNoCell(store.read, chosen === null ? null : { guid: chosen });
      return { status: 200, body: presentAssigned(config.publicUrl, toOrganization(guid), chosen), warnings };
    },
  }),
  endpoint({
    method: 'GET',
    path: SPACE,
    summary: 'Isolation segment of a space',
    handle: async ({ store, config }, { actor, params }) => {
      const found = await seenSpace(store.read, actor, params.guid ?? '');
      const body = presentAssigned(config.publicUrl, toSpace(found.guid), found.isolation_segment_guid);
      return { status: 200, body };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: SPACE,
    summary: 'Put a space into an isolation segment, or into none',
    bodySchema: assignSegment,
    handle: async ({ store, config }, { actor, params, body }) => {
      const chosen = body.data?.guid ?? null;
      const { guid } = await store.mutate(async mutation => {
        const found = await seenSpace(mutation.db, actor, params.guid ?? '');
        requireInSpace(actor, found, []);
        await assignToSpace(mutation, found, chosen);
        return found;
      });
      const warnings = await warnOfNoCell(store.read, chosen === null ? null : { guid: chosen });
      return { status: 200, body: presentAssigned(config.publicUrl, toSpace(guid), chosen), warnings };
    },
  }),
];

export const isolationSegmentEndpoints: Endpoint[] = [
  ...segmentEndpoints,
  ...relationEndpoints,
  ...assignmentEndpoints,
];
