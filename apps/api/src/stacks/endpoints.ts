/** The one stack: this machine's own root (foundations.md 12). It cannot be made or deleted, only labelled. */

import { metadataBody } from '@cupola/contract/v3/parts';
import { stackAnswer } from '@cupola/contract/v3/platform';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import { DEFAULT_STACK } from '../apps/lifecycle.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { installedAt } from '../info/installed-at.ts';
import { metadataOf, writeMetadata } from '../metadata/metadata.ts';
import { fixedPage } from '../pages/fixed-list.ts';
import { commaList, pageQuery } from '../pages/page.ts';

/** The same everywhere: a name for a name. */
const GUID = '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1a01';
const NOT_YET = `Other stacks are not supported yet: apps run on '${DEFAULT_STACK}', the system of the machine itself.`;

async function present({ store, config }: ApiDeps) {
  const createdAt = isoTime(await installedAt(store.read));
  return {
    guid: GUID,
    created_at: createdAt,
    updated_at: createdAt,
    name: DEFAULT_STACK,
    description: 'The system of the machine that runs the app, read-only',
    state: 'ACTIVE',
    state_reason: null,
    run_rootfs_image: DEFAULT_STACK,
    build_rootfs_image: DEFAULT_STACK,
    default: true,
    metadata: await metadataOf(store.read, 'stack', GUID),
    links: { self: { href: `${config.publicUrl}/v3/stacks/${GUID}` } },
  };
}

function requireThis(guid: string | undefined): void {
  if (guid !== GUID) throw new NotFoundError('Stack');
}

const ORDERS = ['name', 'created_at', 'updated_at'].flatMap(name => [name, `+${name}`, `-${name}`]);

export const stackEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/stacks',
    summary: 'Stacks that apps can run on',
    query: z.strictObject({
      ...pageQuery,
      names: commaList.exactOptional(),
      guids: commaList.exactOptional(),
      default: z.enum(['true', 'false'], { error: "Default must be 'true' or 'false'" }).exactOptional(),
      label_selector: z.string().exactOptional(),
      order_by: z.enum(ORDERS, { error: "Order by can only be: 'created_at', 'updated_at', 'name'" }).exactOptional(),
    }),
    responseSchema: stackAnswer,
    handle: async (deps, request) => {
      const { names, guids, default: isDefault } = request.query;
      const isWanted =
        (names === undefined || names.includes(DEFAULT_STACK)) &&
        (guids === undefined || guids.includes(GUID)) &&
        isDefault !== 'false';
      return fixedPage(request, isWanted ? [await present(deps)] : []);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/stacks',
    summary: 'Add a stack: not yet',
    handle: async (_deps, { actor }) => {
      requireAdmin(actor);
      throw new UnprocessableError(NOT_YET);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/stacks/:guid',
    summary: 'One stack',
    responseSchema: stackAnswer,
    handle: async (deps, { params }) => {
      requireThis(params.guid);
      return { status: 200, body: await present(deps) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/stacks/:guid',
    summary: 'Label a stack',
    bodySchema: z.looseObject({ metadata: metadataBody.exactOptional() }),
    responseSchema: stackAnswer,
    handle: async (deps, { actor, params, body }) => {
      requireAdmin(actor);
      requireThis(params.guid);
      const { metadata, ...others } = body;
      if (Object.keys(others).length > 0) throw new UnprocessableError(NOT_YET);
      await deps.store.mutate(mutation => writeMetadata(mutation, 'stack', GUID, metadata));
      return { status: 200, body: await present(deps) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/stacks/:guid',
    summary: 'Delete a stack: there must be one',
    handle: async (_deps, { actor, params }) => {
      requireAdmin(actor);
      requireThis(params.guid);
      throw new UnprocessableError(NOT_YET);
    },
  }),
];
