/** Making and changing a sidecar inside a mutation: what the API and manifests share. It runs from the app's next start on. */
import { randomUUID } from 'node:crypto';
import type { CreateSidecar, UpdateSidecar } from '@cupola/contract/v3/sidecar';
import { UnprocessableError } from '@cupola/model/errors';
import type { Database, SidecarsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';

export type SidecarRow = Selectable<SidecarsTable>;

export function typesOf({ process_types_json }: SidecarRow): string[] {
  return JSON.parse(process_types_json) as string[];
}

/** All of an app, by name. */
export async function sidecarsOf(db: Kysely<Database>, appGuid: string): Promise<SidecarRow[]> {
  return db.selectFrom('sidecars').selectAll().where('app_guid', '=', appGuid).orderBy('name').execute();
}

/** @throws UnprocessableError for a name that is taken, or memory that its process does not have. */
export async function createSidecar(
  mutation: Mutation,
  appGuid: string,
  { name, command, process_types, memory_in_mb }: CreateSidecar,
): Promise<SidecarRow> {
  const { db, now } = mutation;
  const row: SidecarRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    app_guid: appGuid,
    name,
    command,
    process_types_json: JSON.stringify([...new Set(process_types)]),
    memory_mb: memory_in_mb ?? null,
    origin: 'user',
  };
  await check(db, row);
  await db.insertInto('sidecars').values(row).execute();
  return row;
}

/** As `createSidecar`; what is not named stays. */
export async function updateSidecar(
  { db, now }: Mutation,
  present: SidecarRow,
  { name, command, process_types, memory_in_mb }: UpdateSidecar,
): Promise<SidecarRow> {
  const row: SidecarRow = {
    ...present,
    updated_at: now,
    name: name ?? present.name,
    command: command ?? present.command,
    process_types_json:
      process_types === undefined ? present.process_types_json : JSON.stringify([...new Set(process_types)]),
    memory_mb: memory_in_mb === undefined ? present.memory_mb : memory_in_mb,
  };
  await check(db, row);
  await db.updateTable('sidecars').set(row).where('guid', '=', row.guid).execute();
  return row;
}

async function check(db: Kysely<Database>, row: SidecarRow): Promise<void> {
  const others = (await sidecarsOf(db, row.app_guid)).filter(({ guid }) => guid !== row.guid);
  if (others.some(({ name }) => name === row.name))
    throw new UnprocessableError(`Sidecar with name '${row.name}' already exists for given app`);
  if (row.memory_mb === null) return;
  const processes = await db
    .selectFrom('processes')
    .select(['type', 'memory_mb'])
    .where('app_guid', '=', row.app_guid)
    .where('type', 'in', typesOf(row))
    .execute();
  for (const { type, memory_mb } of processes) {
    const beside = others.filter(other => typesOf(other).includes(type));
    const all = beside.reduce((sum, other) => sum + (other.memory_mb ?? 0), row.memory_mb);
    if (all >= memory_mb)
      throw new UnprocessableError(
        `The memory allocation defined is too large to run with the dependent "${type}" process`,
      );
  }
}
