/** Adding, changing and deleting buildpacks inside a mutation (CF: buildpack_create.rb, buildpack_update.rb). */
import { randomUUID } from 'node:crypto';
import type { CreateBuildpack, UpdateBuildpack } from '@cupola/contract/v3/buildpack';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { recordEvent } from '../events/record.ts';
import { deleteMetadata, writeMetadata } from '../metadata/metadata.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { arrange, type BuildpackRow, isSystem, orderedBuildpacks } from './ordered.ts';

const OURS =
  'This buildpack comes with the platform: its name, stack and bits stay. Disable it, or put another one before it.';

/** @throws NotFoundError */
export async function foundBuildpack(db: Kysely<Database>, guid: string): Promise<BuildpackRow> {
  const row = await db.selectFrom('buildpacks').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (row === undefined) throw new NotFoundError('Buildpack');
  return row;
}

/** It looks at apps before all others unless a position is given, once its bits are uploaded. @throws UnprocessableError */
export async function createBuildpack(mutation: Mutation, actor: Actor, asked: CreateBuildpack): Promise<BuildpackRow> {
  const { db, now, changed } = mutation;
  if (asked.lifecycle === 'cnb')
    throw new UnprocessableError('Cloud Native Buildpacks are not supported yet. Use lifecycle "buildpack".');
  const stack = await knownStack(db, asked.stack ?? null);
  await requireFree(db, asked.name, stack);
  const row: BuildpackRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name: asked.name,
    stack,
    lifecycle: 'buildpack',
    filename: null,
    position: (await orderedBuildpacks(db)).length + 1,
    enabled: asked.enabled === false ? 0 : 1,
    locked: asked.locked === true ? 1 : 0,
    digest: null,
    size_bytes: null,
  };
  await db.insertInto('buildpacks').values(row).execute();
  await arrange(mutation, row.guid, asked.position ?? 1);
  changed('buildpack', row.guid);
  await writeMetadata(mutation, 'buildpack', row.guid, asked.metadata);
  await record(mutation, actor, row, { verb: 'create', request: asked });
  return foundBuildpack(db, row.guid);
}

/** Stacks of other platforms mean ours, as in manifests. */
async function knownStack(db: Kysely<Database>, name: string | null): Promise<string | null> {
  if (name === null || name === '') return null;
  try {
    return (await resolveStack(db, name)).stack;
  } catch {
    throw new UnprocessableError(`Stack '${name}' does not exist`);
  }
}

async function requireFree(db: Kysely<Database>, name: string, stack: string | null, exceptGuid = ''): Promise<void> {
  const others = await db
    .selectFrom('buildpacks')
    .select(['guid', 'stack'])
    .where('name', '=', name)
    .where('guid', '!=', exceptGuid)
    .execute();
  if (!others.some(other => other.stack === stack)) return;
  throw new UnprocessableError(
    stack === null
      ? `Buildpack with name '${name}' and an unassigned stack already exists`
      : `Buildpack with name '${name}', stack '${stack}' and lifecycle 'buildpack' already exists`,
  );
}

export async function updateBuildpack(
  mutation: Mutation,
  actor: Actor,
  row: BuildpackRow,
  asked: UpdateBuildpack,
): Promise<BuildpackRow> {
  const { db, now, changed } = mutation;
  const name = asked.name ?? row.name;
  const stack = asked.stack === undefined ? row.stack : await knownStack(db, asked.stack);
  if (isSystem(row) && (name !== row.name || stack !== row.stack)) throw new UnprocessableError(OURS);
  if (row.stack !== null && stack !== row.stack) throw new UnprocessableError('Buildpack stack cannot be changed');
  await requireFree(db, name, stack, row.guid);
  await db
    .updateTable('buildpacks')
    .set({
      name,
      stack,
      enabled: asked.enabled == null ? row.enabled : asked.enabled ? 1 : 0,
      locked: asked.locked == null ? row.locked : asked.locked ? 1 : 0,
      updated_at: now,
    })
    .where('guid', '=', row.guid)
    .execute();
  if (asked.position != null) await arrange(mutation, row.guid, asked.position);
  changed('buildpack', row.guid);
  await writeMetadata(mutation, 'buildpack', row.guid, asked.metadata);
  await record(mutation, actor, row, { verb: 'update', request: asked });
  return foundBuildpack(db, row.guid);
}

/** Apps that name it cannot be staged any more; what they run goes on. */
export async function deleteBuildpack(mutation: Mutation, actor: Actor, row: BuildpackRow): Promise<void> {
  const { db, changed } = mutation;
  await deleteMetadata(mutation, 'buildpack', [row.guid]);
  await db.deleteFrom('buildpacks').where('guid', '=', row.guid).execute();
  await arrange(mutation, row.guid, null);
  changed('buildpack', row.guid);
  await record(mutation, actor, row, { verb: 'delete', request: {} });
}

/** @throws UnprocessableError */
export function requireUploadable(row: BuildpackRow): void {
  if (isSystem(row)) throw new UnprocessableError(OURS);
  if (row.locked === 1) throw new UnprocessableError('Buildpack is locked');
}

export async function keepBits(
  mutation: Mutation,
  actor: Actor,
  row: BuildpackRow,
  bits: { digest: string; sizeBytes: number; filename: string },
): Promise<BuildpackRow> {
  const { db, now, changed } = mutation;
  const set = { digest: bits.digest, size_bytes: bits.sizeBytes, filename: bits.filename, updated_at: now };
  await db.updateTable('buildpacks').set(set).where('guid', '=', row.guid).execute();
  changed('buildpack', row.guid);
  await record(mutation, actor, row, { verb: 'upload', request: { bits_name: bits.filename } });
  return { ...row, ...set };
}

function record(
  mutation: Mutation,
  actor: Actor,
  { guid, name }: BuildpackRow,
  { verb, request }: { verb: 'create' | 'update' | 'delete' | 'upload'; request: Record<string, unknown> },
): Promise<void> {
  return recordEvent(mutation, {
    type: `audit.buildpack.${verb}`,
    actor,
    target: { type: 'buildpack', guid, name },
    spaceGuid: null,
    organizationGuid: null,
    data: { request },
  });
}
