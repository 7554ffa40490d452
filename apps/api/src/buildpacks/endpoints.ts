/** The buildpacks that come with the platform. Others cannot be added yet; these can be labelled. */

import { metadataBody } from '@cupola/contract/v3/parts';
import { buildpackAnswer } from '@cupola/contract/v3/platform';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import { SYSTEM_BUILDPACKS } from '../apps/lifecycle.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { installedAt } from '../info/installed-at.ts';
import { readMetadata, writeMetadata } from '../metadata/metadata.ts';
import { fixedPage } from '../pages/fixed-list.ts';
import { commaList, pageQuery } from '../pages/page.ts';

const NOT_YET =
  `Buildpacks of your own are not supported yet. These are here: ${SYSTEM_BUILDPACKS.map(({ name }) => name).join(', ')}; ` +
  'for anything else push what runs, with binary_buildpack and a start command.';

async function presentAll({ store, config }: ApiDeps) {
  const createdAt = isoTime(await installedAt(store.read));
  const metadata = await readMetadata(
    store.read,
    'buildpack',
    SYSTEM_BUILDPACKS.map(({ guid }) => guid),
  );
  return SYSTEM_BUILDPACKS.map(({ guid, name }, index) => {
    const self = `${config.publicUrl}/v3/buildpacks/${guid}`;
    return {
      guid,
      created_at: createdAt,
      updated_at: createdAt,
      name,
      // Any stack: they take their toolchains with them.
      stack: null,
      state: 'READY',
      lifecycle: 'buildpack',
      filename: `${name}-${config.version}.zip`,
      position: index + 1,
      enabled: true,
      locked: true,
      metadata: metadata.get(guid) ?? { labels: {}, annotations: {} },
      links: { self: { href: self }, upload: { href: `${self}/upload`, method: 'POST' } },
    };
  });
}

async function presentOne(deps: ApiDeps, guid: string | undefined) {
  const found = (await presentAll(deps)).find(buildpack => buildpack.guid === guid);
  if (found === undefined) throw new NotFoundError('Buildpack');
  return found;
}

const ORDERS = ['position', 'lifecycle', 'created_at', 'updated_at'].flatMap(name => [name, `+${name}`, `-${name}`]);

/** For writes that are refused whatever they say. */
const refusal = (method: 'POST' | 'DELETE', path: string, summary: string): Endpoint =>
  endpoint({
    method,
    path,
    summary,
    handle: async (deps, { actor, params }) => {
      requireAdmin(actor);
      if (params.guid !== undefined) await presentOne(deps, params.guid);
      throw new UnprocessableError(NOT_YET);
    },
  });

export const buildpackEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/buildpacks',
    summary: 'Buildpacks, in the order in which they look at an app',
    query: z.strictObject({
      ...pageQuery,
      names: commaList.exactOptional(),
      stacks: commaList.exactOptional(),
      lifecycle: z
        .enum(['buildpack', 'cnb'], { error: 'Lifecycle must be either "buildpack" or "cnb"' })
        .exactOptional(),
      guids: commaList.exactOptional(),
      label_selector: z.string().exactOptional(),
      order_by: z
        .enum(ORDERS, { error: "Order by can only be: 'created_at', 'updated_at', 'position', 'lifecycle'" })
        .exactOptional(),
    }),
    responseSchema: buildpackAnswer,
    handle: async (deps, request) => {
      const { names, lifecycle, guids, stacks, order_by } = request.query;
      const found = (await presentAll(deps)).filter(
        buildpack =>
          (names === undefined || names.includes(buildpack.name)) &&
          (guids === undefined || guids.includes(buildpack.guid)) &&
          (stacks === undefined || stacks.includes('')) &&
          lifecycle !== 'cnb',
      );
      return fixedPage(request, order_by?.startsWith('-') === true ? found.toReversed() : found);
    },
  }),
  refusal('POST', '/v3/buildpacks', 'Add a buildpack: not yet'),
  endpoint({
    method: 'GET',
    path: '/v3/buildpacks/:guid',
    summary: 'One buildpack',
    responseSchema: buildpackAnswer,
    handle: async (deps, { params }) => ({ status: 200, body: await presentOne(deps, params.guid) }),
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/buildpacks/:guid',
    summary: 'Label a buildpack',
    bodySchema: z.looseObject({ metadata: metadataBody.exactOptional() }),
    responseSchema: buildpackAnswer,
    handle: async (deps, { actor, params, body }) => {
      requireAdmin(actor);
      const { guid } = await presentOne(deps, params.guid);
      const { metadata, ...others } = body;
      if (Object.keys(others).length > 0) throw new UnprocessableError(NOT_YET);
      await deps.store.mutate(mutation => writeMetadata(mutation, 'buildpack', guid, metadata));
      return { status: 200, body: await presentOne(deps, guid) };
    },
  }),
  refusal('DELETE', '/v3/buildpacks/:guid', 'Delete a buildpack: not yet'),
  refusal('POST', '/v3/buildpacks/:guid/upload', 'Upload a buildpack: not yet'),
];
