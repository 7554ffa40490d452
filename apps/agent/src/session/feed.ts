/**
 * Follows a watch of the internal API for ever: each line moves the cursor, and is told. A connection without any line for 8 s (empty ones come each 2 s) is
 * dead. The next one resumes from the cursor. While nobody answers, what is known stays as it is and only grows old.
 */
import { type WatchLine, watchLine } from '@cupola/contract/internal';
import { watchLines } from '@cupola/contract/watch-lines';
import { FencedError } from '@cupola/model/errors';
import { ROUTER_LIMITS } from '@cupola/model/limits';
import type { Logger } from 'pino';
import { z } from 'zod';
import { backoff, pause } from '../pause.ts';
import type { InternalApi } from './internal-api.ts';

const line = watchLine(z.unknown());
/** 250 placements with their environments are far below it. */
const LINE_MAX_BYTES = 256 * 1024 * 1024;

export interface Feed {
  api: InternalApi;
  path: string;
  /** What is watched, for the log. */
  what: string;
  /** A connection stands: its first line has come. */
  connected(): void;
  /** In order; items are not parsed yet. */
  said(line: WatchLine<unknown>): void;
  log: Logger;
}
interface Cursor {
  epoch: string;
  revision: number;
}

/** Runs until `signal` is aborted. @throws FencedError when a newer session took over. */
export async function followFeed(feed: Feed, signal: AbortSignal): Promise<void> {
  const state: { cursor: Cursor | null } = { cursor: null };
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      await followOnce(feed, state, signal, () => {
        failures = 0;
      });
    } catch (error) {
      if (error instanceof FencedError) throw error;
      if (signal.aborted) return;
      if (failures === 0) feed.log.warn({ err: error }, `the watch of ${feed.what} broke; what runs goes on`);
    }
    await pause(backoff(failures), signal);
  }
}

async function followOnce(
  feed: Feed,
  state: { cursor: Cursor | null },
  signal: AbortSignal,
  heard: () => void,
): Promise<void> {
  const { cursor } = state;
  const body = await feed.api.stream(feed.path, {
    query: cursor === null ? {} : { epoch: cursor.epoch, after: String(cursor.revision) },
    over: 'watch',
    silenceMs: ROUTER_LIMITS.watchSilenceMs,
    signal,
  });
  let connected = false;
  const take = watchLines(LINE_MAX_BYTES, text => tell(feed, state, text));
  for await (const chunk of body as AsyncIterable<Buffer>) {
    heard();
    if (!connected) feed.connected();
    connected = true;
    take(chunk);
  }
}

function tell(feed: Feed, state: { cursor: Cursor | null }, text: string): void {
  const said = line.parse(JSON.parse(text)) as WatchLine<unknown>;
  feed.said(said);
  state.cursor = { epoch: said.epoch, revision: said.revision };
}
