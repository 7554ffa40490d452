export class BlobMissingError extends Error {
  override readonly name = 'BlobMissingError';
  readonly digest: string;
  constructor(digest: string) {
    super(`there is no blob ${digest}`);
    this.digest = digest;
  }
}

/** The bytes are not what the digest says: changed on the way, or on the disk. */
export class DigestMismatchError extends Error {
  override readonly name = 'DigestMismatchError';
  readonly expected: string;
  readonly actual: string;
  constructor(expected: string, actual: string) {
    super(`expected bytes of sha-256 ${expected}, got ${actual}`);
    this.expected = expected;
    this.actual = actual;
  }
}
