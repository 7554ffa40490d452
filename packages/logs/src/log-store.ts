/** One line of an app's log. */
export interface LogLine {
  appGuid: string;
  /** `APP/PROC/WEB`, `STG`, `RTR`, `API`, `CELL`. */
  sourceType: string;
  instanceId: string;
  type: 'OUT' | 'ERR';
  /** Nanoseconds since the epoch; `append` makes them unique and rising for each app, and takes those of a clock that is ahead back to now. */
  timestampNs: bigint;
  line: string;
}

export interface LogQuery {
  appGuid: string;
  /** Inclusive. */
  startNs?: bigint;
  /** Exclusive. */
  endNs?: bigint;
  limit: number;
  /** Newest first. */
  descending: boolean;
  /** Only these source types (exact, or a prefix ending in `/`). */
  sourceTypes?: readonly string[];
}

/** Recent log lines of every app: lossy under a budget, and the loss is counted and shown as a line. Survives restarts. Any API answers any read. */
export interface LogStore {
  /** Appends a batch of any apps; throws for an `appGuid` that is no guid, never for what is full or away: it drops, counts, and says so later. Not fsynced. */
  append(lines: readonly LogLine[]): Promise<void>;
  /**
   * Newest or oldest first as asked; an unknown app has no lines. Where lines were dropped for their age, a line of `API` at the oldest end says how many,
   * to whom asks for times from before it. @throws LogsUnavailableError when they cannot be read now, within seconds.
   */
  read(query: LogQuery): Promise<LogLine[]>;
  /**
   * Called with lines of one app as they are appended, by any process; with none missing from what a read that begins after this call has given. Returns how
   * to stop.
   */
  follow(appGuid: string, listener: (lines: readonly LogLine[]) => void): () => void;
  /** Forgets an app's lines. */
  remove(appGuid: string): Promise<void>;
  close(): Promise<void>;
}
