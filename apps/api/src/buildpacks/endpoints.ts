/** Buildpacks (CF: buildpacks_controller.rb): those that come with the platform, and those that admins add. */
import { createBuildpack as createBody, updateBuildpack as updateBody } from '@cupola/contract/v3/buildpack';
import { pageOf } from '@cupola/contract/v3/parts';
import { buildpackAnswer } from '@cupola/contract/v3/platform';
import { sql } from 'kysely';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob, jobLocation } from '../jobs/jobs.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { readMetadata } from '../metadata/metadata.ts';
import { among, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { createBuildpack, deleteBuildpack, foundBuildpack, updateBuildpack } from './change-buildpack.ts';
import { type BuildpackRow, isSystem } from './ordered.ts';
import { uploadBuildpack } from './upload.ts';

async function present({ store, config }: ApiDeps, rows: readonly BuildpackRow[]) {
  const metadata = await readMetadata(
    store.read,
    'buildpack',
    rows.map(({ guid }) => guid),
  );
  return rows.map(row => {
    const self = `${config.publicUrl}/v3/buildpacks/${row.guid}`;
    return {
      guid: row.guid,
      created_at: isoTime(row.created_at),
      updated_at: isoTime(row.updated_at),
      name: row.name,
      // Null: any stack.
      stack: row.stack,
      state: isSystem(row) || row.digest !== null ? 'READY' : 'AWAITING_UPLOAD',
      lifecycle: row.lifecycle,
      filename: isSystem(row) ? `${row.name}-${config.version}.zip` : row.filename,
      position: row.position,
      enabled: row.enabled === 1,
      locked: row.locked === 1,
      metadata: metadata.get(row.guid) ?? { labels: {}, annotations: {} },
      links: { self: { href: self }, upload: { href: `${self}/upload`, method: 'POST' } },
    };
  });
}

async function show(deps: ApiDeps, row: BuildpackRow) {
  return (await present(deps, [row]))[0];
}

const query = z.strictObject({
  ...listQuery,
  names: commaList.exactOptional(),
  stacks: commaList.exactOptional(),
  lifecycle: z.enum(['buildpack', 'cnb'], { error: 'Lifecycle must be either "buildpack" or "cnb"' }).exactOptional(),
  order_by: orderBy('position', 'lifecycle'),
});

export const buildpackEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/buildpacks',
    summary: 'Buildpacks, in the order in which they look at an app',
    query,
    responseSchema: pageOf(buildpackAnswer),
    handle: async (deps, request) => {
      const asked = request.query;
      const conditions = commonConditions('buildpacks', asked);
      if (asked.names !== undefined) conditions.push(among('buildpacks.name', asked.names));
      // As in CF, an empty name finds those of no stack.
      if (asked.stacks !== undefined)
        conditions.push(sql`coalesce(buildpacks.stack, '') in (${sql.join(asked.stacks)})`);
      if (asked.lifecycle !== undefined) conditions.push(among('buildpacks.lifecycle', [asked.lifecycle]));
      if (asked.label_selector !== undefined)
        conditions.push(labelSelectorCondition('buildpack', 'buildpacks.guid', asked.label_selector));
      const listed = await listRows(deps.store.read, 'buildpacks', asked, { conditions, order: 'position' });
      const { ask, total, rows, after } = listed;
      return { status: 200, body: pageBody(request, ask, { total, resources: await present(deps, rows), after }) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/buildpacks',
    summary: 'Add a buildpack; its bits are uploaded next',
    bodySchema: createBody,
    responseSchema: buildpackAnswer,
    handle: async (deps, { actor, body }) => {
      requireAdmin(actor);
      const made = await deps.store.mutate(mutation => createBuildpack(mutation, actor, body));
      return { status: 201, body: await show(deps, made) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/buildpacks/:guid',
    summary: 'One buildpack',
    responseSchema: buildpackAnswer,
    handle: async (deps, { params }) => ({
      status: 200,
      body: await show(deps, await foundBuildpack(deps.store.read, params.guid ?? '')),
    }),
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/buildpacks/:guid',
    summary: 'Move, enable, lock, rename or label a buildpack',
    bodySchema: updateBody,
    responseSchema: buildpackAnswer,
    handle: async (deps, { actor, params, body }) => {
      const updated = await deps.store.mutate(async mutation => {
        const row = await foundBuildpack(mutation.db, params.guid ?? '');
        requireAdmin(actor);
        return updateBuildpack(mutation, actor, row, body);
      });
      return { status: 200, body: await show(deps, updated) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/buildpacks/:guid',
    summary: 'Delete a buildpack',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const row = await foundBuildpack(mutation.db, params.guid ?? '');
        requireAdmin(actor);
        await deleteBuildpack(mutation, actor, row);
        return finishedJob(mutation, { operation: 'buildpack.delete', resourceGuid: row.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/buildpacks/:guid/upload',
    summary: "Send a buildpack's bits, as a zip",
    auth: 'upload',
    body: 'multipart',
    responseSchema: buildpackAnswer,
    handle: async (deps, request) => {
      const { buildpack, job } = await uploadBuildpack(deps, request);
      const headers = { Location: jobLocation(deps.config.publicUrl, job) };
      return { status: 202, headers, body: await show(deps, buildpack) };
    },
  }),
];
