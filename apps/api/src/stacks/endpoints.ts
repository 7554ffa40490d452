/**
 * Stacks (CF: stacks_controller.rb). Each machine has `host`, its own root (foundations.md 12); others come with `cupola stack add`, which puts the root filesystem
 * on the machine. A row made here alone is a name that apps may be given, and that waits for a cell which has it.
 */
import { randomUUID } from 'node:crypto';
import { pageOf } from '@cupola/contract/v3/parts';
import { stackAnswer } from '@cupola/contract/v3/platform';
import { createStack as createBody, updateStack as updateBody } from '@cupola/contract/v3/stack';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { HOST_STACK } from '@cupola/model/host-stack';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import { type Kysely, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { NO_CONTENT } from '../http/replies.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { deleteMetadata, NO_METADATA, readMetadata, writeMetadata } from '../metadata/metadata.ts';
import { commonConditions, listQuery, named, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import type { StackRow } from './resolve-stack.ts';

async function present({ store, config }: ApiDeps, rows: readonly StackRow[]) {
  const metadata = await readMetadata(
    store.read,
    'stack',
    rows.map(({ guid }) => guid),
  );
  return rows.map(({ guid, created_at, updated_at, name, description, state, state_reason }) => ({
    guid,
    created_at: isoTime(created_at),
    updated_at: isoTime(updated_at),
    name,
    description,
    state,
    state_reason,
    run_rootfs_image: name,
    build_rootfs_image: name,
    default: name === HOST_STACK,
    metadata: metadata.get(guid) ?? NO_METADATA,
    links: { self: { href: `${config.publicUrl}/v3/stacks/${guid}` } },
  }));
}

async function show(deps: ApiDeps, row: StackRow) {
  return (await present(deps, [row]))[0];
}

/** @throws NotFoundError */
async function found(db: Kysely<Database>, guid: string | undefined): Promise<StackRow> {
  const row = await db
    .selectFrom('stacks')
    .selectAll()
    .where('guid', '=', guid ?? '')
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError('Stack');
  return row;
}

async function create(mutation: Mutation, asked: z.infer<typeof createBody>): Promise<StackRow> {
  const { db, now } = mutation;
  const other = await db
    .selectFrom('stacks')
    .select('guid')
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', asked.name.toLowerCase()))
    .executeTakeFirst();
  if (other !== undefined) throw new UnprocessableError('Name must be unique');
  const row: StackRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name: asked.name,
    description: asked.description ?? '',
    state: asked.state ?? 'ACTIVE',
    state_reason: asked.state_reason ?? null,
  };
  await db.insertInto('stacks').values(row).execute();
  await writeMetadata(mutation, 'stack', row.guid, asked.metadata);
  return row;
}

async function update(mutation: Mutation, row: StackRow, asked: z.infer<typeof updateBody>): Promise<StackRow> {
  const { db, now } = mutation;
  const updated = {
    state: asked.state ?? row.state,
    state_reason: asked.state_reason === undefined ? row.state_reason : asked.state_reason,
    updated_at: now,
  };
  await db.updateTable('stacks').set(updated).where('guid', '=', row.guid).execute();
  await writeMetadata(mutation, 'stack', row.guid, asked.metadata);
  return { ...row, ...updated };
}

/** @throws UnprocessableError while an app uses it, and for one that a cell would bring back. */
async function remove(mutation: Mutation, { guid, name }: StackRow): Promise<void> {
  const { db } = mutation;
  if (name === HOST_STACK)
    throw new UnprocessableError(`Cannot delete stack '${name}': it is the system of the machine itself.`);
  const app = await db.selectFrom('apps').select('guid').where('stack', '=', name).executeTakeFirst();
  if (app !== undefined)
    throw new UnprocessableError(`Cannot delete stack '${name}' because apps are currently using the stack.`);
  const cells = await db.selectFrom('cells').select('stacks_json').execute();
  const isOffered = cells.some(cell =>
    (JSON.parse(cell.stacks_json) as Array<{ name: string }>).some(offered => offered.name === name),
  );
  if (isOffered)
    throw new UnprocessableError(
      `Cannot delete stack '${name}' because a machine offers it. There the operator removes it first: ./cupola stack remove ${name}`,
    );
  await deleteMetadata(mutation, 'stack', [guid]);
  await db.deleteFrom('stacks').where('guid', '=', guid).execute();
}

export const stackEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/stacks',
    summary: 'Stacks that apps can run on',
    query: z.strictObject({
      ...listQuery,
      names: commaList.exactOptional(),
      default: z.enum(['true', 'false'], { error: "Default must be 'true' or 'false'" }).exactOptional(),
      order_by: orderBy('name'),
    }),
    responseSchema: pageOf(stackAnswer),
    handle: async (deps, request) => {
      const { query } = request;
      const conditions = commonConditions('stacks', query);
      if (query.names !== undefined) conditions.push(named('stacks.name', query.names));
      if (query.default !== undefined)
        conditions.push(sql<SqlBool>`(stacks.name = ${HOST_STACK}) = ${query.default === 'true' ? 1 : 0}`);
      if (query.label_selector !== undefined)
        conditions.push(labelSelectorCondition('stack', 'stacks.guid', query.label_selector));
      const { ask, total, rows, after } = await listRows(deps.store.read, 'stacks', query, { conditions });
      return { status: 200, body: pageBody(request, ask, { total, resources: await present(deps, rows), after }) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/stacks',
    summary: 'Make a stack known, before a machine has it',
    bodySchema: createBody,
    responseSchema: stackAnswer,
    handle: async (deps, { actor, body }) => {
      requireAdmin(actor);
      const made = await deps.store.mutate(mutation => create(mutation, body));
      const warning = `Apps on stack '${made.name}' wait until a machine has it: ./cupola stack add SOURCE --name ${made.name}`;
      return { status: 201, body: await show(deps, made), warnings: [warning] };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/stacks/:guid',
    summary: 'One stack',
    responseSchema: stackAnswer,
    handle: async (deps, { params }) => ({
      status: 200,
      body: await show(deps, await found(deps.store.read, params.guid)),
    }),
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/stacks/:guid',
    summary: 'Label a stack, or say whether it may be used',
    bodySchema: updateBody,
    responseSchema: stackAnswer,
    handle: async (deps, { actor, params, body }) => {
      requireAdmin(actor);
      const updated = await deps.store.mutate(async mutation =>
        update(mutation, await found(mutation.db, params.guid), body),
      );
      const warnings =
        body.state !== undefined && updated.name === HOST_STACK
          ? [`Changing state on the default stack '${HOST_STACK}' may affect new application deployments.`]
          : [];
      return { status: 200, body: await show(deps, updated), warnings };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/stacks/:guid',
    summary: 'Delete a stack that no app uses and no machine has',
    handle: async (deps, { actor, params }) => {
      requireAdmin(actor);
      await deps.store.mutate(async mutation => remove(mutation, await found(mutation.db, params.guid)));
      return NO_CONTENT;
    },
  }),
];
