/** An app's log, followed: the newest lines at first, then each batch as it comes. A read is held by the API until there is a line, so nothing is asked twice. */
import { readLogEnvelopes } from '@cupola/contract/v3/client-reads';
import { useEffect, useReducer, useRef } from 'react';
import { read, withQuery } from '../data/http.ts';
import { useHidden } from '../ui/use-hidden.ts';
import { joinLines, LINES_MAX, type LogLine, logLine } from './lines.ts';
import type { LogRange } from './log-range.ts';

/** log-cache's own most at once. */
const READ_MAX = 1_000;
/** At the beginning: enough to scroll a while. */
const FIRST_READS = 3;
/** After lines came others are gathered for so long: the screen is drawn ten times a second at most. */
const GATHER_MS = 100;
const RETRY_MS = 2_000;

interface LogState {
  lines: readonly LogLine[];
  /** Null while it is followed; else since when it is not (epoch ms). */
  staleSince: number | null;
  isFirstRead: boolean;
  /** Nothing is kept that is older. */
  isWhole: boolean;
}
export interface FollowedLog extends LogState {
  /** Reads what was before; null: there is nothing, or no more room. */
  readOlder: (() => void) | null;
}

type Act = { more: readonly LogLine[]; isWhole?: boolean } | { stale: number } | { live: true };

function reduce(state: LogState, act: Act): LogState {
  if ('stale' in act) return { ...state, staleSince: state.staleSince ?? act.stale };
  if ('live' in act) return state.staleSince === null ? state : { ...state, staleSince: null };
  return {
    lines: joinLines(state.lines, act.more),
    staleSince: null,
    isFirstRead: false,
    isWhole: act.isWhole ?? state.isWhole,
  };
}

/** @param asked lines of some time, which are read once with what is around them; null: the newest, followed. */
export function useLog(appGuid: string, asked: LogRange | null): FollowedLog {
  const [state, tell] = useReducer(reduce, { lines: [], staleSince: null, isFirstRead: true, isWhole: false });
  const nextNs = useRef(0n);
  // A page that nobody sees holds no connection; it reads on from where it was.
  const isHidden = useHidden();
  const { isFirstRead } = state;
  useEffect(() => {
    if (asked !== null || isHidden) return;
    const ending = new AbortController();
    void follow(appGuid, { signal: ending.signal, nextNs, tell });
    return () => ending.abort();
  }, [appGuid, asked, isHidden]);
  // Once: what is read again would be there twice.
  useEffect(() => {
    if (asked === null || isHidden || !isFirstRead) return;
    const ending = new AbortController();
    void readOnce(appGuid, asked, { signal: ending.signal, tell });
    return () => ending.abort();
  }, [appGuid, asked, isHidden, isFirstRead]);
  const isReading = useRef(false);
  const oldest = state.lines[0]?.timestampNs;
  const isOver = oldest === undefined || state.isWhole || state.lines.length > LINES_MAX - READ_MAX;
  const readOlder = async (beforeNs: bigint): Promise<void> => {
    if (isReading.current) return;
    isReading.current = true;
    try {
      const more = await readBefore(appGuid, beforeNs);
      tell({ more, isWhole: more.length < READ_MAX });
    } catch {
      tell({ stale: Date.now() });
    } finally {
      isReading.current = false;
    }
  };
  return { ...state, readOlder: isOver ? null : () => void readOlder(oldest) };
}

/** Lines before those that were asked for: enough to see what led there. */
const BEFORE_MAX = 200;

async function readOnce(
  appGuid: string,
  { fromNs }: LogRange,
  { signal, tell }: Omit<Following, 'nextNs'>,
): Promise<void> {
  try {
    const [before, from] = await Promise.all([
      readBefore(appGuid, fromNs, { signal, limit: BEFORE_MAX }),
      readLines(appGuid, { start_time: String(fromNs) }, { signal }),
    ]);
    tell({ more: [...before, ...from], isWhole: before.length < BEFORE_MAX });
  } catch {
    if (!signal.aborted) tell({ stale: Date.now() });
  }
}

function readBefore(
  appGuid: string,
  beforeNs: bigint,
  { signal, limit = READ_MAX }: { signal?: AbortSignal; limit?: number } = {},
): Promise<LogLine[]> {
  const query = { descending: 'true', start_time: '0', end_time: String(beforeNs), limit: String(limit) };
  return readLines(appGuid, query, { signal });
}

interface Following {
  signal: AbortSignal;
  nextNs: { current: bigint };
  tell(act: Act): void;
}

async function follow(appGuid: string, { signal, nextNs, tell }: Following): Promise<void> {
  let begun = nextNs.current > 0n;
  while (!signal.aborted) {
    try {
      const isFirst = !begun;
      const lines = begun ? await readSince(appGuid, nextNs.current, signal) : await readNewest(appGuid, signal);
      if (signal.aborted) return;
      for (const line of lines) if (line.timestampNs >= nextNs.current) nextNs.current = line.timestampNs + 1n;
      if (isFirst) tell({ more: lines, isWhole: lines.length < READ_MAX });
      else if (lines.length > 0) tell({ more: lines });
      else tell({ live: true });
      if (!begun && nextNs.current === 0n) nextNs.current = BigInt(Date.now() - CLOCKS_APART_MS) * 1_000_000n;
      begun = true;
      if (lines.length < READ_MAX) await pause(GATHER_MS, signal);
    } catch {
      if (signal.aborted) return;
      tell({ stale: Date.now() });
      await pause(RETRY_MS, signal);
    }
  }
}

/** This machine's clock may be behind or before the platform's. */
const CLOCKS_APART_MS = 60_000;

async function readNewest(appGuid: string, signal: AbortSignal): Promise<LogLine[]> {
  let lines: LogLine[] = [];
  for (let reads = 0; reads < FIRST_READS; reads++) {
    const oldest = lines[0]?.timestampNs;
    const older =
      oldest === undefined
        ? await readLines(appGuid, { descending: 'true', start_time: '0' }, { signal })
        : await readBefore(appGuid, oldest, { signal });
    lines = joinLines(older, lines);
    if (older.length < READ_MAX) break;
  }
  return lines;
}

/** 20 s is the API's own bound for a held read. */
function readSince(appGuid: string, fromNs: bigint, signal: AbortSignal): Promise<LogLine[]> {
  return readLines(appGuid, { start_time: String(fromNs) }, { signal, headers: { prefer: 'wait=20' } });
}

async function readLines(
  appGuid: string,
  query: Record<string, string>,
  call: { signal?: AbortSignal | undefined; headers?: Record<string, string> },
): Promise<LogLine[]> {
  const path = withQuery(`/api/v1/read/${appGuid}`, { envelope_types: 'LOG', limit: String(READ_MAX), ...query });
  const { envelopes } = await read(readLogEnvelopes, path, call);
  return joinLines([], (envelopes?.batch ?? []).filter(({ log }) => log !== null && log !== undefined).map(logLine));
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
