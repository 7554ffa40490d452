/** Log lines cannot be read at the moment. Those that are written meanwhile are counted as lost. */
export class LogsUnavailableError extends Error {
  override readonly name = 'LogsUnavailableError';
  constructor(options: { cause: unknown }) {
    super(
      'The log lines cannot be read at the moment. Try again in a few seconds; apps and their routes go on.',
      options,
    );
  }
}
