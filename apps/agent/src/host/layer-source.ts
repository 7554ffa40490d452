/**
 * Where layers come from: by the API, or straight from the blob store where that lets who has an address of a few minutes read (S3), so that big layers do not
 * pass through the API. Whatever comes is checked against its digest by who lays it out.
 *
 * The way past the API is a saving and never a need: a store that this machine does not reach, or that answers something else, is asked again only later.
 */
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { Agent } from 'undici';
import { backoff, pause } from '../pause.ts';
import { type InternalApi, isAway } from '../session/internal-api.ts';

/** A layer that makes no progress for this long is given up; the start is tried again later (ours). */
const SILENCE_MS = 30_000;
/** A store that is there takes a connection in much less (ours). */
const CONNECT_MS = 3_000;
/** Not asked again for so long after it was in vain (ours). */
const AVOIDED_MS = 300_000;

export interface Fetched {
  stream: Readable;
  /** Past the API, which has not looked at it. */
  isDirect: boolean;
}

export interface LayerSource {
  /** @param how `direct`: past the API where that is possible. */
  fetch(digest: string, how: { direct: boolean }): Promise<Fetched>;
  close(): Promise<void>;
}

interface Deps {
  api: Pick<InternalApi, 'stream'>;
  monotonic(): number;
  signal: AbortSignal;
  log: Logger;
}

export function createLayerSource({ api, monotonic, signal, log }: Deps): LayerSource {
  const store = new Agent({ connect: { timeout: CONNECT_MS }, headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS });
  let avoidedUntilMs = Number.NEGATIVE_INFINITY;

  const follow = async (url: string): Promise<Readable> => {
    const { origin, pathname, search } = new URL(url);
    const { statusCode, body } = await store.request({ origin, path: pathname + search, method: 'GET', signal });
    if (statusCode === 200) return body;
    await body.dump();
    throw new Error(`the blob store answered ${statusCode}`);
  };
  const ask = async (digest: string, direct: boolean): Promise<Fetched> => {
    const path = `/internal/layers/${digest}`;
    const how = { over: 'layers', silenceMs: SILENCE_MS, signal } as const;
    if (!direct || monotonic() < avoidedUntilMs) return { stream: await api.stream(path, how), isDirect: false };
    const places: string[] = [];
    const stream = await api.stream(path, {
      ...how,
      query: { direct: 'true' },
      elsewhere: url => void places.push(url),
    });
    const [place] = places;
    if (place === undefined) return { stream, isDirect: false };
    try {
      return { stream: await follow(place), isDirect: true };
    } catch (error) {
      if (signal.aborted) throw error;
      // Its address is a key to the blob: not for the log.
      log.warn({ err: error, host: new URL(place).host, digest }, 'layers come through the API for now');
      avoidedUntilMs = monotonic() + AVOIDED_MS;
      return { stream: await api.stream(path, how), isDirect: false };
    }
  };
  return {
    /**
     * Waits while the API is away: that is a fault neither of the app nor of this cell, which would be given no more of the app for five minutes if it counted
     * as starts that failed here. What the API refuses, or breaks off, is one.
     */
    fetch: async (digest, { direct }) => {
      for (let failures = 0; ; failures++)
        try {
          return await ask(digest, direct);
        } catch (error) {
          if (signal.aborted || !isAway(error)) throw error;
          if (failures === 0) log.warn({ err: error, digest }, 'a start waits for its layer: the API is away');
          await pause(backoff(failures), signal);
        }
    },
    close: () => store.destroy(),
  };
}
