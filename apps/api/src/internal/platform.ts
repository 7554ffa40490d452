/** What the platform's owner and its other parts ask for: log lines in, instances out. */
import { logBatch } from '@cupola/contract/internal';
import { type InternalCall, type InternalReply, readJson } from './call.ts';

export async function takeLogs(call: InternalCall): Promise<InternalReply> {
  const { envelopes } = await readJson(call, logBatch);
  await call.deps.logs.append(
    envelopes.map(({ timestampNs, ...envelope }) => ({ ...envelope, timestampNs: BigInt(timestampNs) })),
  );
  return { status: 204 };
}

/** Every copy there is, for `cupola status`. */
export async function listInstances(call: InternalCall): Promise<InternalReply> {
  const instances = await call.deps.store.read
    .selectFrom('copies')
    .innerJoin('apps', 'apps.guid', 'copies.app_guid')
    .innerJoin('processes', 'processes.guid', 'copies.process_guid')
    .select([
      'apps.name as app',
      'processes.type as process',
      'copies.index_number as index',
      'copies.state',
      'copies.crash_count as crashes',
      'copies.since',
    ])
    .orderBy('apps.name')
    .orderBy('processes.type')
    .orderBy('copies.index_number')
    .execute();
  return { status: 200, json: { instances } };
}
