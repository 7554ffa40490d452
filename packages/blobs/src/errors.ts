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

/** The server with the blobs does not answer, or refuses us. What was asked for may be asked again. */
export class BlobsUnavailableError extends Error {
  override readonly name = 'BlobsUnavailableError';
  constructor(options: { cause: unknown }) {
    const { name, message } = options.cause instanceof Error ? options.cause : new Error('no answer');
    super(
      `The server with the packages and droplets cannot be used at the moment (${message || name}). Try again in a few seconds; apps and their routes go on.`,
      options,
    );
  }
}
