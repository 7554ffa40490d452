/** A watch over HTTP: NDJSON lines as they come, an empty line every 5 s so that both ends notice a dead peer, a `synced` at least every 30 s. */
import type { WatchLine } from '@cupola/contract/internal';
import { CELL_LIMITS } from '@cupola/model/limits';
import type { Cursor } from '@cupola/store/store';
import type { InternalCall, InternalReply } from './call.ts';
import type { Hub } from './hub.ts';

const EMPTY_LINE_MS = 5_000;
/** A watcher that lets so much pile up is not reading: it is cut, and resumes from its cursor. */
const BEHIND_MAX_BYTES = 64 * 1024 * 1024;

/** @param select what of the view this watcher gets, and in which form; null leaves an item out. */
export async function serveWatch<Item extends { guid: string }, Wire extends { guid: string }>(
  call: InternalCall,
  hub: Hub<Item>,
  select: (item: Item) => Wire | null,
): Promise<InternalReply> {
  const { response, signal } = call;
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const write = (line: WatchLine<Wire> | null): void => {
    if (response.destroyed || response.writableEnded) return;
    response.write(line === null ? '\n' : `${JSON.stringify(line)}\n`);
    if (response.writableLength > BEHIND_MAX_BYTES) response.destroy();
  };
  const send = (line: WatchLine<Item>): void => {
    if (line.type === 'snapshot') {
      const items = line.items.map(select).filter(item => item !== null);
      write({ ...line, items });
      return;
    }
    if (line.type !== 'upsert') {
      write(line);
      return;
    }
    const item = select(line.item);
    if (item !== null) write({ ...line, item });
  };
  const stop = await hub.watch(cursorOf(call.query), send);
  const beat = setInterval(() => write(null), EMPTY_LINE_MS);
  const sync = setInterval(() => {
    hub.cursor().then(
      cursor => write({ type: 'synced', ...cursor }),
      () => undefined, // The store is away: the view is not fresh, and says nothing.
    );
  }, CELL_LIMITS.syncMs);
  const over = new Promise<void>(resolve => {
    response.once('close', () => resolve());
    if (signal.aborted || response.destroyed) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await over;
  stop();
  clearInterval(beat);
  clearInterval(sync);
  response.end();
  return 'answered';
}

function cursorOf(query: URLSearchParams): Cursor | null {
  const epoch = query.get('epoch');
  const revision = Number(query.get('after') ?? Number.NaN);
  return epoch === null || !Number.isSafeInteger(revision) ? null : { epoch, revision };
}
