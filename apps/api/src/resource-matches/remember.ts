/**
 * Keeps where the files of a pack lie, for the next push of the organization. A cache: what is lost of it is only sent once more. So it is written beside
 * the package's own row, in pieces that hold nobody up, and not in its transaction (20,000 rows would stop every other write for half a second).
 */
import type { Pack, PackedFile } from '@cupola/archive/zip-pack';
import type { Store } from '@cupola/store/store';
import { sql } from 'kysely';

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
