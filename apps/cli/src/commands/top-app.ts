/** top APP: its instances, each with what it uses, read again whenever the live stream tells of them or of new figures. */
import { followStream } from '@cupola/client/stream';
import { type ReadApp, readAuditEvent, readProcess, readStats } from '@cupola/contract/v3/client-reads';
import { usageError } from '@cupola/push/failures';
import { type CliContext, findApp } from '../context.ts';
import { gathered } from '../gathered.ts';
import { INSTANCE_ORDERS, type InstanceOrder, type InstanceRow, instanceRows } from '../top-table.ts';

/** Frames of one moment come together. */
const GATHER_MS = 100;
/** Crashes that are counted: more are told as this many. */
const CRASHES_MAX = 100;
const CLEAR = '\u001b[H\u001b[J';

export interface TopFlags {
  sort?: string;
  once?: boolean;
}

export async function topOfApp(context: CliContext, name: string, flags: TopFlags): Promise<void> {
  const order = (flags.sort ?? 'index') as InstanceOrder;
  if (!INSTANCE_ORDERS.includes(order))
    throw usageError(`--sort ${order} is none of instances.`, `One of: ${INSTANCE_ORDERS.join(', ')}`);
  const app = await findApp(context, name);
  const show = async (clears: boolean): Promise<void> => {
    const instances = await read(context, app);
    const text = instances.length === 0 ? `${name} has no instance. Next: cupola scale ${name} -i 1` : null;
    const shown = text ?? context.table(instanceRows(instances, order));
    context.result({ app: name, instances }, clears ? `${CLEAR}${shown}` : shown);
  };
  if (flags.once === true) return show(false);
  context.note(`${name}: figures come each ten seconds, changes at once. Ctrl-C ends it.`);
  await showAtEachChange(context, app, () => show(process.stdout.isTTY === true));
}

async function showAtEachChange(context: CliContext, app: ReadApp, show: () => Promise<void>): Promise<void> {
  const ended = new AbortController();
  process.once('SIGINT', () => ended.abort());
  let failed: unknown = null;
  const showing = gathered(GATHER_MS, () =>
    show().catch((error: unknown) => {
      failed = error;
      ended.abort();
    }),
  );
  const query = { app_guids: app.guid, kinds: 'process,instances,metrics' };
  await followStream(context.client(), {
    query,
    signal: ended.signal,
    frame: ({ type }) => {
      if (type !== 'beat' && type !== 'end') showing.soon();
    },
  });
  await showing.end();
  if (failed !== null) throw failed;
}

/** As they are now. */
async function read(context: CliContext, app: ReadApp): Promise<InstanceRow[]> {
  const client = context.client();
  const crash = { target_guids: app.guid, types: 'audit.app.process.crash', order_by: '-created_at' };
  const [processes, crashes] = await Promise.all([
    client.all(readProcess, `/v3/apps/${app.guid}/processes`),
    newest(client.list(readAuditEvent, '/v3/audit_events', { ...crash, per_page: String(CRASHES_MAX) })),
  ]);
  const rows = await Promise.all(
    processes
      .filter(({ instances }) => instances > 0)
      .map(async ({ guid, type }) => {
        const { resources } = await client.read(readStats, { path: `/v3/processes/${guid}/stats` });
        return resources.map(({ index, state, uptime, usage, mem_quota, host, details }) => ({
          ...{ type, index, state, uptimeSeconds: uptime ?? null, host: host || null, details: details ?? null },
          ...{ cpu: usage?.cpu ?? null, memoryBytes: usage?.mem ?? null, memoryLimitBytes: mem_quota ?? null },
          crashes: crashes.filter(({ actor, data }) => actor?.name === type && data?.index === index).length,
        }));
      }),
  );
  return rows.flat();
}

async function newest<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of list) if (found.push(one) === CRASHES_MAX) break;
  return found;
}
