/** top: apps of the targeted space by CPU, memory or requests, as the platform measures them each ten seconds. */
import { followStream } from '@cupola/client/stream';
import { readApp } from '@cupola/contract/v3/client-reads';
import { usageError } from '@cupola/push/failures';
import type { CliContext } from '../context.ts';
import { type AppFigures, TOP_ORDERS, type TopOrder, topTable } from '../top-table.ts';

/** What was not heard of for three windows does not run any more. */
const STALE_MS = 30_000;
/** Frames of one window come together. */
const GATHER_MS = 100;
const CLEAR = '\u001b[H\u001b[J';

export async function top(context: CliContext, flags: { sort?: string; once?: boolean }): Promise<void> {
  const order = (flags.sort ?? 'cpu') as TopOrder;
  if (!TOP_ORDERS.includes(order))
    throw usageError(`--sort ${flags.sort} is none.`, `One of: ${TOP_ORDERS.join(', ')}`);
  const { space } = context.target();
  const client = context.client();
  const names = new Map<string, string>();
  for await (const { guid, name } of client.list(readApp, '/v3/apps', { space_guids: space.guid }))
    names.set(guid, name);
  context.note(`Space ${space.name}: figures come each ten seconds. Ctrl-C ends it.`);
  const known = new Map<string, AppFigures>();
  const ended = new AbortController();
  process.once('SIGINT', () => ended.abort());
  let timer: NodeJS.Timeout | undefined;
  const show = (): void => {
    const newest = Math.max(...[...known.values()].map(({ at }) => Date.parse(at)));
    const fresh = [...known.values()].filter(({ at }) => newest - Date.parse(at) < STALE_MS);
    const text = topTable(fresh, { nameOf: guid => names.get(guid) ?? guid.slice(0, 8), order });
    context.result({ apps: fresh }, process.stdout.isTTY && flags.once !== true ? `${CLEAR}${text}` : text);
    if (flags.once === true) ended.abort();
  };
  await followStream(client, {
    query: { space_guids: space.guid, kinds: 'metrics,app' },
    signal: ended.signal,
    frame: frame => {
      if (frame.type === 'changed') names.set(frame.guid, String(frame.object.name ?? ''));
      if (frame.type !== 'metrics') return;
      known.set(frame.app_guid, frame);
      clearTimeout(timer);
      timer = setTimeout(show, GATHER_MS);
    },
  });
  clearTimeout(timer);
}
