/** Tells the API each ten seconds how many requests each app had. What the API does not take for a while is dropped: counts of now are worth more than those of before. */
import { randomUUID } from 'node:crypto';
import type { RequestCounts } from '@cupola/contract/internal';
import { FINE_STEP_S } from '@cupola/model/metrics';
import type { Logger } from 'pino';
import type { Client } from 'undici';
import type { Latency } from './latency.ts';

const EVERY_MS = FINE_STEP_S * 1_000;
const TIMEOUT_MS = 5_000;
/** So often a batch is tried. */
const TRIES_MAX = 3;

export interface CountsTeller extends Disposable {
  tell(): Promise<void>;
}

export function startTellingCounts({
  client,
  latency,
  log,
}: {
  client: Client;
  latency: Latency;
  log: Logger;
}): CountsTeller {
  const session = randomUUID();
  let sequence = 0;
  let waiting: { batch: RequestCounts; tries: number } | null = null;

  async function tell(): Promise<void> {
    const { batch, tries } = waiting ?? { batch: newBatch(), tries: 0 };
    if (batch.apps.length === 0) return;
    waiting = { batch, tries: tries + 1 };
    try {
      await post(client, batch);
      waiting = null;
    } catch (error) {
      if (tries + 1 < TRIES_MAX) return;
      log.warn({ err: error }, 'counts of requests are lost: the API does not take them');
      waiting = null;
    }
  }

  const newBatch = (): RequestCounts => ({ session, sequence: ++sequence, apps: latency.sinceLast() });

  // Nobody waits for it.
  const timer = setInterval(() => void tell(), EVERY_MS).unref();
  return { tell, [Symbol.dispose]: () => clearInterval(timer) };
}

async function post(client: Client, batch: RequestCounts): Promise<void> {
  const { statusCode, body } = await client.request({
    path: '/internal/metrics',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(batch),
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  await body.dump();
  if (statusCode >= 300) throw new Error(`the API answered ${statusCode} to counts of requests`);
}
