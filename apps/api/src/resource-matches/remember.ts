/**
 * Keeps where the files of a pack lie, for the next push of the organization. A cache: what is lost of it is only sent once more. So it is written beside
 * the package's own row, in pieces that hold nobody up, and not in its transaction (20,000 rows would stop every other write for half a second).
 */
import type { Move } from '@cupola/archive/zip-base';
import type { Pack, PackedFile } from '@cupola/archive/zip-pack';
import type { Store } from '@cupola/store/store';
import { type RawBuilder, sql } from 'kysely';

/** Rows of one statement, some ms of the writer; ten parameters each. */
const ROWS_EACH = 500;

interface Packed {
  organizationGuid: string;
  pack: Pick<Pack, 'digest'>;
  files: readonly PackedFile[];
}

/** The newest pack that has a file is where it is copied from: older ones may go. */
export async function rememberFiles(store: Store, { organizationGuid, pack, files }: Packed): Promise<void> {
  // In the order of the table's key: rows of a piece lie on few pages of it, where 500 at random would write as many pages to the log.
  const distinct = [...new Map(files.map(file => [`${file.sha1}/${file.sizeBytes}`, file])).values()].sort((a, b) =>
    a.sha1 < b.sha1 ? -1 : 1,
  );
  for (let from = 0; from < distinct.length; from += ROWS_EACH) {
    const piece = distinct.slice(from, from + ROWS_EACH);
    await store.note(({ db, now }) =>
      db
        .insertInto('resources')
        .values(
          piece.map(file => ({
            organization_guid: organizationGuid,
            sha1: file.sha1,
            size_bytes: file.sizeBytes,
            sha256: file.sha256,
            blob_digest: pack.digest,
            data_offset: file.dataOffset,
            compressed_bytes: file.compressedBytes,
            method: file.method,
            crc32: file.crc32,
            seen_at: now,
          })),
        )
        .onConflict(conflict =>
          conflict.columns(['organization_guid', 'sha1', 'size_bytes']).doUpdateSet({
            sha256: sql`excluded.sha256`,
            blob_digest: sql`excluded.blob_digest`,
            data_offset: sql`excluded.data_offset`,
            compressed_bytes: sql`excluded.compressed_bytes`,
            method: sql`excluded.method`,
            crc32: sql`excluded.crc32`,
            seen_at: now,
          }),
        )
        .execute(),
    );
  }
}

/** Rows, and ranges of them, that one transaction moves: a few ms of the writer. They are moved by the database alone, neither read nor parsed here. */
const MOVED_EACH = 1_000;
const RANGES_EACH = 100;

export interface Moved {
  organizationGuid: string;
  /** Digests of the older pack and of the one that started from it. */
  from: string;
  to: string;
  moves: readonly Move[];
}

/** What lay in a pack lies in the one that started from it now, but for what did not stay: without this, the older pack would be kept for as long as its files are pushed. */
export async function moveFiles(store: Store, { organizationGuid, from, to, moves }: Moved): Promise<void> {
  if (from === to) return;
  const within = (range: Omit<Move, 'shift'>): RawBuilder<boolean> =>
    sql`organization_guid = ${organizationGuid} and blob_digest = ${from} and data_offset >= ${range.from} and data_offset < ${range.until}`;
  const shift = (ranges: readonly Move[]): Promise<void> =>
    store.note(async ({ db, now }) => {
      for (const range of ranges)
        await db
          .updateTable('resources')
          .set({ blob_digest: to, data_offset: sql<number>`data_offset - ${range.shift}`, seen_at: now })
          .where(within(range))
          .execute();
    });
  let ranges: Move[] = [];
  let counted = 0;
  for (const move of moves)
    for (let at = move.from; at < move.until; ) {
      const next = await store.read
        .selectFrom('resources')
        .select('data_offset')
        .where(within({ from: at, until: move.until }))
        .orderBy('data_offset')
        .limit(MOVED_EACH)
        .execute();
      const until = next.length < MOVED_EACH ? move.until : (next.at(-1)?.data_offset ?? at) + 1;
      if (next.length > 0) ranges.push({ from: at, until, shift: move.shift });
      counted += next.length;
      at = until;
      if (counted < MOVED_EACH && ranges.length < RANGES_EACH) continue;
      await shift(ranges);
      ranges = [];
      counted = 0;
    }
  if (ranges.length > 0) await shift(ranges);
}
