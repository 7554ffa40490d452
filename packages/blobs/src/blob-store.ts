import type { Readable } from 'node:stream';

export interface BlobInfo {
  /** sha-256, hex. */
  digest: string;
  sizeBytes: number;
}

/** Content-addressed bytes. */
export interface BlobStore {
  /**
   * Streams `body` in; durable when it resolves (file and folder fsynced). With `expectedDigest` a mismatch throws `DigestMismatchError` and leaves nothing.
   * Storing what is there already succeeds and changes nothing.
   */
  put(body: Readable, options?: { expectedDigest?: string }): Promise<BlobInfo>;
  /** Takes over a file on the same file system by rename (its bytes are already hashed by the caller), made durable as in `put`. */
  adopt(path: string, info: BlobInfo): Promise<BlobInfo>;
  /** Null when unknown. */
  stat(digest: string): Promise<BlobInfo | null>;
  /** Throws `BlobMissingError`. `range` is in bytes, end exclusive. Bytes are not checked here: who runs them uses `openVerified`. */
  open(digest: string, range?: { start: number; end: number }): Promise<Readable>;
  /** As `open`, whole, but ends with `DigestMismatchError` instead of its last chunk when the bytes are not what the digest says. */
  openVerified(digest: string): Promise<Readable>;
  /** Path on this machine, where the adapter has one: lets the embedded API assemble packs without a copy. Null elsewhere. */
  localPath(digest: string): string | null;
  /** Every digest, for the sweeper. */
  list(): AsyncIterable<BlobInfo & { storedAtMs: number }>;
  /** Unknown digests are no error. */
  remove(digest: string): Promise<void>;
  /** Free and total bytes of where blobs lie; null when the engine cannot tell. */
  space(): Promise<{ freeBytes: number; totalBytes: number } | null>;
}
