/** Follows the output of one sandbox: each line to the log sender, the last 20 kept for the day it crashes. */
import type { OutputLine, RunningSandbox } from '@cupola/sandbox/sandbox';
import { type LauncherWord, launcherWord } from '../development/words.ts';
import { pause } from '../pause.ts';
import type { LogLine, LogSender, LogSource } from './log-sender.ts';
import { sourceOfLine } from './sidecar-lines.ts';

const LAST_LINES = 20;
/** Of a very long line so much is kept for the crash report (ours). */
const LAST_LINE_CHARS = 1_000;
/** After the end of a sandbox its reader gets this long to hand on the rest (ours). */
const DRAIN_MS = 10_000;
/** A crash report waits this long for the last words (ours: a restart must not feel it). */
const LAST_WORDS_MS = 250;

export interface Output {
  /** Bytes so far. */
  readonly bytes: number;
  /** After the sandbox's end: its last lines, as far as they are to be had at once. */
  lastLines(): Promise<string[]>;
  /** After the sandbox's end: resolves when all lines are handed on, or given up. */
  drained(): Promise<void>;
  /** Leaves the rest for the next agent. */
  stop(): void;
}

interface Deps {
  sandbox: RunningSandbox;
  source: LogSource;
  /** Whose lines are among its own. */
  sidecars: ReadonlyArray<{ name: string }>;
  /** Of a development app: its launcher says that all changes up to this one are in place. Null: it is none. */
  applied: ((change: number) => void) | null;
  logRateBytesPerSecond: number;
  sender: LogSender;
  /** Where to begin; undefined: at the beginning. */
  from: string | undefined;
  /** The API has everything up to here. */
  reached(position: string): void;
}

export function followOutput(deps: Deps): Output {
  const { sandbox, logRateBytesPerSecond, sender, reached } = deps;
  let bytes = 0;
  let stopped = false;
  let position = deps.from;
  const last: string[] = [];

  const read = async (): Promise<void> => {
    for await (const piece of sandbox.output(deps.from)) {
      if (stopped) return;
      position = piece.position;
      bytes += piece.line.length + 1;
      const { timestampMs, stream } = piece;
      const { source, line } = sourceOfLine(piece.line, deps.source, deps.sidecars);
      const mark = { position, reached };
      if (piece.droppedBytes + piece.unreadBytes > 0) {
        const sentence = missingSentence(piece, logRateBytesPerSecond);
        await sender.add({ source, type: 'ERR', timestampMs, line: sentence, mark });
        if (line === '') continue;
      }
      const word = deps.applied === null ? null : launcherWord(line);
      if (word !== null) {
        await takeWord(deps, word, { timestampMs, type: stream === 'out' ? 'OUT' : 'ERR', mark });
        continue;
      }
      keep(last, line);
      await sender.add({ source, type: stream === 'out' ? 'OUT' : 'ERR', timestampMs, line, mark });
    }
  };
  const reading = read().then(
    () => true,
    () => true,
  );
  const readWithin = async (ms: number): Promise<boolean> => {
    const enough = new AbortController();
    const isRead = await Promise.race([reading, pause(ms, enough.signal).then(() => false)]);
    enough.abort();
    return isRead;
  };

  return {
    get bytes() {
      return bytes;
    },
    lastLines: async () => {
      if (await readWithin(LAST_WORDS_MS)) return last;
      const lines = [...last];
      for await (const { line } of sandbox.output(position)) keep(lines, line);
      return lines;
    },
    drained: async () => {
      if (await readWithin(DRAIN_MS)) return;
      stopped = true;
      let left = 0;
      for await (const _ of sandbox.output(position)) left++;
      sender.lose(deps.source, left);
    },
    stop: () => {
      stopped = true;
    },
  };
}

/** Of the source that CF's launcher of an instance is: its cell. */
async function takeWord(
  { source, sender, applied }: Deps,
  { before, line, isError, applied: change }: LauncherWord,
  { timestampMs, type, mark }: Pick<LogLine, 'timestampMs' | 'type' | 'mark'>,
): Promise<void> {
  if (change !== null) applied?.(change);
  if (before !== '') await sender.add({ source, type, timestampMs, line: before, mark });
  const ours = { ...source, sourceType: 'CELL' };
  await sender.add({ source: ours, type: isError ? 'ERR' : 'OUT', timestampMs, line, mark });
}

function keep(last: string[], line: string): void {
  last.push(line.slice(0, LAST_LINE_CHARS));
  if (last.length > LAST_LINES) last.shift();
}

function missingSentence({ droppedBytes, unreadBytes }: OutputLine, rate: number): string {
  if (unreadBytes > 0) return `${unreadBytes} bytes of output were lost: the app writes faster than they can be kept`;
  if (rate < 0) return `${droppedBytes} bytes of output were lost: the disk of this cell is full`;
  return `app instance exceeded log rate limit (${rate} bytes/sec)`;
}
