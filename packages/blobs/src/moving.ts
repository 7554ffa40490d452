/**
 * Blobs on their way from one store to another while both serve: what is stored goes to the new one, what is read is looked for there first. So the move may
 * take its time, be killed and go on: when everything of the old one is in the new one, it is over, and nothing was ever missing.
 */
import type { BlobStore } from './blob-store.ts';
import { BlobMissingError, DigestMismatchError } from './errors.ts';

interface Move {
  from: BlobStore;
  to: BlobStore;
}

export interface MovingBlobs extends BlobStore {
  /** Everything is in the new one: the old one is asked no more. */
  finish(): void;
}

export function movingBlobs({ from, to }: Move): MovingBlobs {
  let old: BlobStore | null = from;
  /** What is missing in the new one is asked of the old one. */
  const openEither = async <T>(open: (blobs: BlobStore) => Promise<T>): Promise<T> => {
    try {
      return await open(to);
    } catch (error) {
      if (old === null || !(error instanceof BlobMissingError)) throw error;
      return open(old);
    }
  };
  return {
    put: to.put,
    adopt: to.adopt,
    space: to.space,
    stat: async digest => (await to.stat(digest)) ?? old?.stat(digest) ?? null,
    open: (digest, range) => openEither(blobs => blobs.open(digest, range)),
    openVerified: digest => openEither(blobs => blobs.openVerified(digest)),
    localFile: async digest => (await to.localFile(digest)) ?? old?.localFile(digest) ?? null,
    readUrl: async (digest, forMs) =>
      old !== null && (await to.stat(digest)) === null ? old.readUrl(digest, forMs) : to.readUrl(digest, forMs),
    list: async function* () {
      if (old !== null) yield* old.list();
      yield* to.list();
    },
    remove: async (digest, options) => {
      await old?.remove(digest, options);
      await to.remove(digest, options);
    },
    finish: () => {
      old = null;
    },
  };
}

/**
 * Copies what the new store lacks, each digest checked on its way; again and again without harm. Damaged ones are set aside where they were and left out.
 * @returns false when it was told to stop.
 */
export async function copyBlobs({ from, to }: Move, signal: AbortSignal): Promise<boolean> {
  for await (const { digest, sizeBytes } of from.list()) {
    if (signal.aborted) return false;
    if ((await to.stat(digest))?.sizeBytes === sizeBytes) continue;
    try {
      await to.put(await from.openVerified(digest), { expectedDigest: digest });
    } catch (error) {
      // The second: removed by the sweeper at this moment.
      if (!(error instanceof DigestMismatchError || error instanceof BlobMissingError)) throw error;
    }
  }
  return !signal.aborted;
}
