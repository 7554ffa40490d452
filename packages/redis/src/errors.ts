/** Redis did not answer in time, or cannot be reached. What was asked for may still have been done. */
export class RedisUnavailableError extends Error {
  override readonly name = 'RedisUnavailableError';
  /** @param address host and port, never the password. */
  constructor(address: string, options: { cause: unknown }) {
    const said = options.cause instanceof Error ? ` (${options.cause.message})` : '';
    super(
      `Redis at ${address} does not answer${said}: is it running, and are its address and password right?`,
      options,
    );
  }
}
