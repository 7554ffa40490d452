/** Lines of an app's log as this page keeps them: bounded, oldest first, filtered by what the user typed. Pure but for the text decoder. */
import { plainText } from './ansi.ts';

export interface LogLine {
  /** Unique for each line: the order of arrival. */
  readonly id: number;
  readonly timestampNs: bigint;
  /** `APP/PROC/WEB`, `STG`, `RTR`, `CELL`, `API` ... */
  readonly source: string;
  readonly instance: string;
  readonly isError: boolean;
  readonly text: string;
  /** Without colours, for the filter. */
  readonly plain: string;
  /** The platform's word of an end of an instance. */
  readonly isCrash: boolean;
}

export interface LogFilter {
  text: string;
  isRegex: boolean;
  source: string;
  instance: string;
}
export const NO_FILTER: LogFilter = { text: '', isRegex: false, source: '', instance: '' };

/** As many as the panel keeps; older ones go (issue: 10,000 without a stall; twice that is still 10 ms to filter). */
export const LINES_MAX = 20_000;

const CRASH = /App instance exited with guid|Exited with status|out of memory|crash/i;

let made = 0;
/** A line as log-cache gives it. Its payload is base64 of UTF-8. */
export function logLine(envelope: {
  timestamp: string;
  instance_id?: string | null | undefined;
  tags?: Record<string, string> | null | undefined;
  log?: { payload?: string | null | undefined; type?: string | null | undefined } | null | undefined;
}): LogLine {
  const bytes = Uint8Array.from(atob(envelope.log?.payload ?? ''), character => character.charCodeAt(0));
  const text = new TextDecoder().decode(bytes);
  const source = envelope.tags?.source_type ?? 'APP';
  const plain = plainText(text);
  made += 1;
  return {
    id: made,
    timestampNs: BigInt(envelope.timestamp),
    source,
    instance: envelope.instance_id ?? '',
    isError: envelope.log?.type === 'ERR',
    text,
    plain,
    isCrash: !source.startsWith('APP/') && source !== 'STG' && source !== 'RTR' && CRASH.test(plain),
  };
}

/** `old` and `more` together, in the order of time; the oldest beyond the bound are left out. */
export function joinLines(old: readonly LogLine[], more: readonly LogLine[]): LogLine[] {
  const sorted = more.toSorted((a, b) => compare(a.timestampNs, b.timestampNs) || a.id - b.id);
  const last = old.at(-1);
  const first = sorted[0];
  const joined = [...old, ...sorted];
  if (last !== undefined && first !== undefined && first.timestampNs < last.timestampNs)
    joined.sort((a, b) => compare(a.timestampNs, b.timestampNs) || a.id - b.id);
  return joined.length > LINES_MAX ? joined.slice(-LINES_MAX) : joined;
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** A pattern that is none yet, as somebody types it, matches nothing; `null` says so. */
export function matcherOf({ text, isRegex, source, instance }: LogFilter): ((line: LogLine) => boolean) | null {
  let fits: (plain: string) => boolean = () => true;
  if (text !== '' && isRegex) {
    try {
      const pattern = new RegExp(text, 'i');
      fits = plain => pattern.test(plain);
    } catch {
      return null; // Typed by half.
    }
  } else if (text !== '') {
    const wanted = text.toLowerCase();
    fits = plain => plain.toLowerCase().includes(wanted);
  }
  return line =>
    (source === '' || line.source === source) && (instance === '' || line.instance === instance) && fits(line.plain);
}
