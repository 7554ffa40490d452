import type { Readable } from 'node:stream';

export interface BlobInfo {
  /** sha-256, hex. */
  digest: string;
  sizeBytes: number;
}

/** Content-addressed bytes. Where they lie on a server of its own, every method but `remove` of nothing may throw `BlobsUnavailableError`, within a minute. */
export interface BlobStore {
  /**
   * Streams `body` in; durable when it resolves (file and folder fsynced, or the server's word). With `expectedDigest` a mismatch throws `DigestMismatchError` and leaves nothing.
   * Storing what is there already succeeds and changes nothing.
   */
  put(body: Readable, options?: { expectedDigest?: string }): Promise<BlobInfo>;
  /** Takes over a file (its bytes are already hashed by the caller): by rename where blobs are files of the same file system. Made durable as in `put`. */
  adopt(path: string, info: BlobInfo): Promise<BlobInfo>;
  /** Null when unknown. */
  stat(digest: string): Promise<BlobInfo | null>;
  /** Throws `BlobMissingError`. `range` is in bytes, end exclusive. Bytes are not checked here: who runs them uses `openVerified`. */
  open(digest: string, range?: { start: number; end: number }): Promise<Readable>;
  /** As `open`, whole, but ends with `DigestMismatchError` instead of its last chunk when the bytes are not what the digest says. */
  openVerified(digest: string): Promise<Readable>;
  /**
   * A file of this machine with the blob's bytes, that stays for as long as an upload may take: packs are put together from it without another copy. Null
   * when there is no such blob, or a damaged one.
   */
  localFile(digest: string): Promise<string | null>;
  /** Where somebody without our credentials may read the blob for so long; null where there is no such way. */
  readUrl(digest: string, forMs: number): Promise<string | null>;
  /** Every digest, for the sweeper. */
  list(): AsyncIterable<BlobInfo & { storedAtMs: number }>;
  /** Unknown digests are no error. What was stored (again) at that time (epoch ms) or later stays. */
  remove(digest: string, options?: { unlessStoredSinceMs?: number }): Promise<void>;
  /** Free and total bytes of the disk of this machine that blobs fill, on their way or for good. */
  space(): Promise<{ freeBytes: number; totalBytes: number }>;
}
