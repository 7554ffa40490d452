/**
 * Stats of a process, held for the invocation that started, restarted or scaled its app until it is clear how the start went: nothing is wanted, one
 * instance runs, or all have crashed (held-requests.md).
 */
import type { RunSpec } from '@cupola/model/run-spec';
import type { ApiDeps } from '../deps.ts';
import type { ApiRequest } from '../http/endpoint.ts';
import { type FoundProcess, type ProcessRow, seenProcess } from './find-process.ts';
import { type Instance, readInstances } from './instances.ts';
import { presentStats } from './present-stats.ts';
import { type CopyRow, readSnapshot, readUsage } from './read-snapshot.ts';

/** Kinds of changes that may say more of an instance. The guid of a new placement or copy is nobody's yet, so all of them wake. */
const KINDS = ['app', 'process', 'placement', 'placement_error', 'copy'];

interface Reading extends FoundProcess {
  instances: Array<Instance<CopyRow>>;
}

export async function readProcessInstances(
  { store, now }: Pick<ApiDeps, 'store' | 'now'>,
  { process, app }: FoundProcess,
): Promise<Array<Instance<CopyRow>>> {
  const snapshot = await readSnapshot(store.read, [process.guid]);
  return readInstances({ ...process, isStarted: app.state === 'STARTED' }, snapshot, now());
}

function isFinal({ app, instances }: Reading): boolean {
  if (app.state === 'STOPPED' || instances.length === 0) return true;
  return instances.some(({ state }) => state === 'RUNNING') || instances.every(({ state }) => state === 'CRASHED');
}

/** What the copies were given: of the run spec, else of the process, which was never started. */
async function readQuotas({ store, sealer }: ApiDeps, process: ProcessRow) {
  const row =
    process.run_spec_guid === null
      ? undefined
      : await store.read
          .selectFrom('run_specs')
          .select(['memory_mb', 'disk_mb', 'spec_sealed'])
          .where('guid', '=', process.run_spec_guid)
          .executeTakeFirst();
  if (row === undefined)
    return {
      memoryMb: process.memory_mb,
      diskMb: process.disk_mb,
      logRateBytesPerSecond: process.log_rate_limit_bytes,
    };
  const { logRateBytesPerSecond } = JSON.parse(sealer.open(row.spec_sealed)) as RunSpec;
  return { memoryMb: row.memory_mb, diskMb: row.disk_mb, logRateBytesPerSecond };
}

export async function heldStats(deps: ApiDeps, request: ApiRequest, found: FoundProcess) {
  const { app, process } = found;
  const read = async (): Promise<Reading> => {
    // Read anew each time: what was deleted meanwhile answers as what is not there.
    const now = await seenProcess(deps.store.read, request.actor, { guid: process.guid });
    return { ...now, instances: await readProcessInstances(deps, now) };
  };
  const { process: newest, instances } = await deps.holds.wait(request, {
    kind: 'stats',
    guid: app.guid,
    processGuid: process.guid,
    concerns: kind => KINDS.includes(kind),
    read,
    isFinal,
  });
  const usage = await readUsage(deps.store.read, instances);
  const quotas = await readQuotas(deps, newest);
  return { resources: presentStats(instances, { type: newest.type, ...quotas, usage, now: deps.now() }) };
}
