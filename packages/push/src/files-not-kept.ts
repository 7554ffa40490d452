/** Files that an app writes and will lose: its cell says so once, in the app's log, when the app has come up. */
import { setTimeout as pause } from 'node:timers/promises';
import type { CloudClient } from '@cupola/client/cloud-client';
import { recentLines } from '@cupola/client/logs';
import type { ReadApp } from '@cupola/contract/v3/client-reads';
import { readCode } from '@cupola/model/causes';

const LOG_LINES = 500;

/** The cell's lines come in batches: what it said before the start was over is there soon after (ours). */
const TRIES = 4;
const PAUSE_MS = 60;

/** What the cell has seen of files that will not last; null when nothing. `settle` waits for its word on a start that is just over. */
export async function filesNotKept(
  client: CloudClient,
  app: ReadApp,
  { settle = false }: { settle?: boolean } = {},
): Promise<string | null> {
  for (let tried = 1; ; tried++) {
    const lines = await recentLines(client, app.guid, LOG_LINES).catch(() => []);
    // Of the newest start: what an older one wrote may have been mended since.
    const cell = lines.filter(({ sourceType }) => sourceType === 'CELL').map(({ text }) => text);
    const ofNow = cell.slice(cell.findLastIndex(text => text.startsWith('Starting health monitoring')) + 1);
    const line = ofNow.find(text => readCode(text).code === 'files-not-kept');
    if (line !== undefined) return readCode(line).text;
    const isSaid = cell.length === 0 || ofNow.includes('Container became healthy');
    if (!settle || isSaid || tried === TRIES) return null;
    await pause(PAUSE_MS);
  }
}
