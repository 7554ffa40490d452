/** What a client of log-cache asks for, and which of the two forms of the cf CLI's tail it is. */
import { InvalidRequestError } from '@cupola/model/errors';
import { z } from 'zod';
import { isCliAgent } from '../http/cli-agent.ts';

/** log-cache's own. */
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

const nanoseconds = z.string().regex(/^-?\d{1,19}$/, { error: 'must be a whole number of nanoseconds' });
/** Unknown keys are ignored, as log-cache does. */
export const readQuery = z.object({
  start_time: nanoseconds.exactOptional(),
  end_time: nanoseconds.exactOptional(),
  limit: z.string().exactOptional(),
  descending: z.string().exactOptional(),
  /** Given several times, it comes joined by commas. */
  envelope_types: z.string().exactOptional(),
  name_filter: z.string().exactOptional(),
});
export type ReadQuery = z.infer<typeof readQuery>;

export interface ReadAsk {
  /** May lie before 1970: the CLI's zero time does. */
  startNs: bigint;
  /** Exclusive. */
  endNs: bigint | null;
  limit: number;
  descending: boolean;
  /** Whether log lines are among what is wanted: we keep nothing else. */
  wantsLogs: boolean;
  /**
   * The cf CLI's tail: `latest` asks for one envelope to begin at, `tail` for what came since then. Null: a read of its own (`--recent`, others' clients).
   */
  tailForm: 'latest' | 'tail' | null;
}

/** @throws InvalidRequestError for a limit that log-cache refuses too. */
export function readAsk(query: ReadQuery, userAgent: string): ReadAsk {
  const types = query.envelope_types?.split(',').filter(type => type !== '') ?? [];
  const descending = query.descending === 'true';
  const isOpen = query.end_time === undefined && query.name_filter === undefined;
  const isLatest = isOpen && descending && query.limit === '1' && types.length === 0;
  const isTail = isOpen && !descending && query.limit === undefined && types.length === 1 && types[0] === 'LOG';
  const form = isLatest ? 'latest' : isTail ? 'tail' : null;
  return {
    startNs: BigInt(query.start_time ?? '0'),
    endNs: query.end_time === undefined ? null : BigInt(query.end_time),
    limit: readLimit(query.limit),
    descending,
    // A name is a metric's: no log line has one.
    wantsLogs:
      (query.name_filter ?? '') === '' && (types.length === 0 || types.includes('LOG') || types.includes('ANY')),
    tailForm: isCliAgent(userAgent) ? form : null,
  };
}

function readLimit(text: string | undefined): number {
  if (text === undefined || text === '') return LIMIT_DEFAULT;
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 0)
    throw new InvalidRequestError(`limit must be a whole number, not "${text}"`, 'BadQueryParameter');
  if (limit > LIMIT_MAX)
    throw new InvalidRequestError(`Limit (${limit}) must be ${LIMIT_MAX} or less`, 'BadQueryParameter');
  return limit === 0 ? LIMIT_DEFAULT : limit;
}
