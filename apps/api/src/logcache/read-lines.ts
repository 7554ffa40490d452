/**
 * Reading an app's log for a client, and for the cf CLI's tail in a way that shows a fast push's lines (held-requests.md, "Logs in a fast push"). The CLI
 * drops lines younger than 2 s and stops its tail when staging ends, so while a build of the app runs its tail gets times set back by a little more.
 * `Tails` knows which position a time that we set back stands for: no line is left out or shown twice, whichever came first, tail or build.
 */
import type { LogLine, LogStore } from '@cupola/logs/log-store';
import { HOLD_LIMITS } from '@cupola/model/limits';
import type { ReadAsk } from './read-ask.ts';
import type { Tails } from './tails.ts';

const SHIFT_NS = HOLD_LIMITS.tailShiftNs;
/** What the CLI takes off the time of the newest envelope to begin its tail at. */
const CLI_OFFSET_NS = 1_000_000_000n;

/** A line as it is answered: the time is the client's, not always the true one. The line is the store's own object, by which its envelope is remembered. */
export interface AnsweredLine {
  line: LogLine;
  answeredNs: bigint;
}

export interface LogReader {
  logs: LogStore;
  tails: Tails;
}

export async function readPlain({ logs }: LogReader, appGuid: string, ask: ReadAsk): Promise<AnsweredLine[]> {
  if (!ask.wantsLogs) return [];
  const lines = await logs.read({
    appGuid,
    startNs: ask.startNs < 0n ? 0n : ask.startNs,
    ...(ask.endNs === null ? {} : { endNs: ask.endNs < 0n ? 0n : ask.endNs }),
    limit: ask.limit,
    descending: ask.descending,
  });
  return lines.map(line => ({ line, answeredNs: line.timestampNs }));
}

/**
 * Where the CLI's tail begins: one envelope. With a build under way that is the time the build began, so that none of its lines are missed, however long
 * ago it was: staging begins when an upload ends, and the CLI asks for logs a second later.
 */
export async function readLatest(
  reader: LogReader,
  appGuid: string,
  ask: ReadAsk,
  build: { beganNs: bigint } | null,
): Promise<AnsweredLine[]> {
  const [newest] = await readPlain(reader, appGuid, ask);
  if (newest === undefined || build === null) return newest === undefined ? [] : [newest];
  const answeredNs = build.beganNs - SHIFT_NS + CLI_OFFSET_NS;
  reader.tails.shifted(appGuid, answeredNs - CLI_OFFSET_NS, build.beganNs);
  return [{ line: newest.line, answeredNs }];
}

/** What came since the tail's last answer. Notes how far the tail has come. */
export async function readTail(
  reader: LogReader,
  appGuid: string,
  ask: ReadAsk,
  isStaging: boolean,
): Promise<AnsweredLine[]> {
  const { tails } = reader;
  const startNs = tails.trueStart(appGuid, ask.startNs);
  tails.asked(appGuid, startNs);
  const lines = await readPlain(reader, appGuid, { ...ask, startNs });
  // A tail once set back stays so: going back to true times would show its last two seconds again.
  if (!isStaging && startNs === ask.startNs) return lines;
  const last = lines.at(-1)?.line;
  if (last !== undefined) tails.shifted(appGuid, last.timestampNs - SHIFT_NS + 1n, last.timestampNs + 1n);
  return lines.map(({ line }) => ({ line, answeredNs: line.timestampNs - SHIFT_NS }));
}
