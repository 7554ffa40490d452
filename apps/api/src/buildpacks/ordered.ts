/** Buildpacks in the order in which they look at an app: positions are 1, 2, 3 ... without a gap, whatever is added, moved or deleted. */
import { SYSTEM_BUILDPACKS as SYSTEM_NAMES } from '@cupola/model/system-buildpacks';
import type { BuildpacksTable, Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import { SYSTEM_BUILDPACKS } from '../apps/lifecycle.ts';

export type BuildpackRow = Selectable<BuildpacksTable>;

export function orderedBuildpacks(db: Kysely<Database>): Promise<BuildpackRow[]> {
  return db.selectFrom('buildpacks').selectAll().orderBy('position').orderBy('guid').execute();
}

/** It comes with the platform: its program is ours, under a name of ours. */
export function isSystem({ guid }: { guid: string }): boolean {
  return SYSTEM_BUILDPACKS.some(system => system.guid === guid);
}

/** Puts `guid` at `position`, or at the end when there are not so many, and closes every gap. Null: only closes gaps. */
export async function arrange({ db }: Mutation, guid: string, position: number | null): Promise<void> {
  const rows = await orderedBuildpacks(db);
  const moved = rows.find(row => row.guid === guid);
  const others = rows.filter(row => row.guid !== guid);
  const at = position === null ? rows.findIndex(row => row.guid === guid) : position - 1;
  if (moved !== undefined) others.splice(Math.min(at, others.length), 0, moved);
  for (const [index, row] of others.entries())
    if (row.position !== index + 1)
      await db
        .updateTable('buildpacks')
        .set({ position: index + 1 })
        .where('guid', '=', row.guid)
        .execute();
}

const SEEDED = 'system_buildpacks';

/** Those of the platform that this installation has not had yet, each behind the one that it follows. What an admin has deleted stays away. */
export async function seedBuildpacks(mutation: Mutation): Promise<void> {
  const { db, now } = mutation;
  const setting = await db.selectFrom('settings').select('value').where('key', '=', SEEDED).executeTakeFirst();
  const had = new Set(setting === undefined ? [] : (JSON.parse(setting.value) as string[]));
  if (SYSTEM_BUILDPACKS.every(({ guid }) => had.has(guid))) return;
  for (const [index, { name, guid }] of SYSTEM_BUILDPACKS.entries()) {
    if (had.has(guid)) continue;
    had.add(guid);
    const before = SYSTEM_BUILDPACKS[index - 1]?.guid;
    const rows = await orderedBuildpacks(db);
    const place = rows.find(row => row.guid === before)?.position ?? 0;
    const stamps = { guid, created_at: now, updated_at: now };
    const rest = { stack: null, lifecycle: 'buildpack', filename: null, enabled: 1, locked: 0, digest: null } as const;
    await db
      .insertInto('buildpacks')
      .values({ ...stamps, ...rest, name, position: rows.length + 1, size_bytes: null })
      .execute();
    await arrange(mutation, guid, place + 1);
  }
  await db
    .insertInto('settings')
    .values({ key: SEEDED, value: JSON.stringify([...had]) })
    .onConflict(conflict => conflict.column('key').doUpdateSet({ value: JSON.stringify([...had]) }))
    .execute();
}

/** What a build may use: names in the order of detection, and the zips of those that are not ours. */
export async function buildpacksForBuild(
  db: Kysely<Database>,
  stack: string,
): Promise<{ detectOrder: string[]; customBuildpacks: Array<{ name: string; digest: string; sizeBytes: number }> }> {
  const rows = (await orderedBuildpacks(db)).filter(
    row => row.enabled === 1 && row.lifecycle === 'buildpack' && (row.stack === null || row.stack === stack),
  );
  const customBuildpacks = rows.flatMap(({ name, digest, size_bytes }) =>
    digest === null || size_bytes === null ? [] : [{ name, digest, sizeBytes: size_bytes }],
  );
  const names = rows.filter(row => isSystem(row) || row.digest !== null).map(({ name }) => name);
  // Nothing else tells a stager that a name means its own program.
  const system: readonly string[] = SYSTEM_NAMES;
  return {
    detectOrder: [...new Set(names)],
    customBuildpacks: customBuildpacks.filter(({ name }) => !system.includes(name)),
  };
}
