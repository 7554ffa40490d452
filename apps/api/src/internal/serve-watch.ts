/** A watch over HTTP: NDJSON lines as they come. A watcher that does not read is cut, and resumes from its cursor. */
import type { Cursor } from '@cupola/store/store';
import type { InternalCall, InternalReply } from './call.ts';
import type { Watcher } from './live-view.ts';

/** Beyond what the watcher got at first. More piles up only for one that has stopped reading. */
const BEHIND_MAX_BYTES = 16 * 1024 * 1024;

/** @param join adds a watcher to its view; answers how to leave. */
export async function serveWatch(
  call: InternalCall,
  join: (send: Watcher['send'], after: Cursor | null) => Promise<() => void>,
): Promise<InternalReply> {
  const { response, signal } = call;
  const over = new Promise<void>(resolve => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  let behindMaxBytes = Number.POSITIVE_INFINITY;
  response.setHeader('content-type', 'application/x-ndjson');
  const leave = await join(lines => {
    if (response.destroyed || response.writableEnded) return;
    response.write(lines);
    // Else it would wait for the next tick, and with it for all that reads the store meanwhile: a millisecond of each start.
    response.socket?.uncork();
    if (response.writableLength > behindMaxBytes) response.destroy();
  }, cursorOf(call.query));
  behindMaxBytes = response.writableLength + BEHIND_MAX_BYTES;
  await over;
  leave();
  response.end();
  return 'answered';
}

function cursorOf(query: URLSearchParams): Cursor | null {
  const epoch = query.get('epoch');
  const after = query.get('after');
  const revision = Number(after);
  return epoch === null || after === null || !Number.isSafeInteger(revision) ? null : { epoch, revision };
}
