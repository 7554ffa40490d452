/**
 * Which files of a push are here already. Only what organizations have uploaded in which the actor may push himself: else anyone could ask whether a given
 * file exists elsewhere (foundations.md 10).
 */
import type { Resource } from '@cupola/contract/v3/package';
import type { Database, ResourcesTable } from '@cupola/store/schema';
import { type Kysely, type Selectable, sql } from 'kysely';
import type { Actor } from '../access/actor.ts';

export type ResourceRow = Omit<Selectable<ResourcesTable>, 'seen_at'>;
const PLACE = [
  'organization_guid',
  'sha1',
  'size_bytes',
  'sha256',
  'blob_digest',
  'data_offset',
  'compressed_bytes',
  'method',
  'crc32',
] as const;

/** Checksums of one query: some ms of the reader, and few round trips. */
const CHUNK = 1_000;

type FileKey = Pick<Resource, 'checksum' | 'size_in_bytes'>;

/** What makes two files the same: checksum and size. */
export function fileKey({ checksum, size_in_bytes }: FileKey): string {
  return `${checksum.value.toLowerCase()}/${size_in_bytes}`;
}
const rowKey = ({ sha1, size_bytes }: Pick<ResourceRow, 'sha1' | 'size_bytes'>): string => `${sha1}/${size_bytes}`;

/** Keys of those that are here already. Empty files are nobody's: they are always sent. */
export async function knownKeys(db: Kysely<Database>, actor: Actor, wanted: readonly FileKey[]): Promise<Set<string>> {
  const known = new Set<string>();
  for await (const checksums of chunks(wanted)) {
    const rows = await within(db, actor, checksums).select(['sha1', 'size_bytes']).execute();
    for (const row of rows) known.add(rowKey(row));
  }
  return known;
}

/** Where they lie, by key; where several organizations have one, that of `preferred`. */
export async function findResources(
  db: Kysely<Database>,
  actor: Actor,
  { wanted, preferred }: { wanted: readonly FileKey[]; preferred: string },
): Promise<Map<string, ResourceRow>> {
  const found = new Map<string, ResourceRow>();
  for await (const checksums of chunks(wanted)) {
    const rows = await within(db, actor, checksums).select(PLACE).execute();
    for (const row of rows) {
      const key = rowKey(row);
      if (!found.has(key) || row.organization_guid === preferred) found.set(key, row);
    }
  }
  return found;
}

/** Checksums, each once. Between two chunks others have their turn: the driver is synchronous. */
async function* chunks(wanted: readonly FileKey[]): AsyncIterable<string[]> {
  const sized = wanted.filter(({ size_in_bytes }) => size_in_bytes > 0);
  const checksums = [...new Set(sized.map(({ checksum }) => checksum.value.toLowerCase()))];
  for (let from = 0; from < checksums.length; from += CHUNK) {
    yield checksums.slice(from, from + CHUNK);
    await new Promise(resolve => setImmediate(resolve));
  }
}

/** Files of the organizations in which the actor is a space developer; of all for an admin. */
function within(db: Kysely<Database>, actor: Actor, checksums: readonly string[]) {
  const files = db.selectFrom('resources').where('sha1', 'in', checksums);
  if (actor.isAdmin) return files;
  const developed = actor.roles.filter(({ type }) => type === 'space_developer');
  const organizations = new Set(developed.flatMap(({ organizationGuid }) => organizationGuid ?? []));
  return organizations.size === 0
    ? files.where(sql<boolean>`1 = 0`)
    : files.where('organization_guid', 'in', [...organizations]);
}
