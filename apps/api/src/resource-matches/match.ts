/**
 * Which files of a push are here already. Only what organizations have uploaded in which the actor may push himself: else anyone could ask whether a given
 * file exists elsewhere (foundations.md 10).
 */
import type { Resource } from '@cupola/contract/v3/package';
import type { Database, ResourcesTable } from '@cupola/store/schema';
import { type Kysely, type Selectable, sql } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { among, type Condition } from '../pages/filters.ts';

export type ResourceRow = Selectable<ResourcesTable>;

/** Checksums of one query; SQLite and PostgreSQL take thousands, and few queries are few round trips. */
const CHUNK = 1_000;

/** Organizations in which the actor is a space developer; all for an admin. */
function ownOrganizations(actor: Actor): Condition {
  if (actor.isAdmin) return sql`1 = 1`;
  const guids = actor.roles
    .filter(role => role.type === 'space_developer' && role.organizationGuid !== null)
    .map(role => role.organizationGuid ?? '');
  return among('organization_guid', [...new Set(guids)]);
}

export const resourceKey = ({ sha1, size_bytes }: Pick<ResourceRow, 'sha1' | 'size_bytes'>): string =>
  `${sha1}/${size_bytes}`;
export const wantedKey = ({ checksum, size_in_bytes }: Pick<Resource, 'checksum' | 'size_in_bytes'>): string =>
  `${checksum.value.toLowerCase()}/${size_in_bytes}`;

/** Known files by key; where several organizations have one, that of `preferred`. Empty files are nobody's: they are always sent. */
export async function findResources(
  db: Kysely<Database>,
  actor: Actor,
  { wanted, preferred = null }: { wanted: readonly Resource[]; preferred?: string | null },
): Promise<Map<string, ResourceRow>> {
  const keys = new Set(wanted.filter(({ size_in_bytes }) => size_in_bytes > 0).map(wantedKey));
  const checksums = [...new Set([...keys].map(key => key.slice(0, key.indexOf('/'))))];
  const found = new Map<string, ResourceRow>();
  for (let from = 0; from < checksums.length; from += CHUNK) {
    const rows = await db
      .selectFrom('resources')
      .selectAll()
      .where('sha1', 'in', checksums.slice(from, from + CHUNK))
      .where(ownOrganizations(actor))
      .execute();
    for (const row of rows) {
      const key = resourceKey(row);
      if (keys.has(key) && (!found.has(key) || row.organization_guid === preferred)) found.set(key, row);
    }
  }
  return found;
}
