/**
 * Instances of processes on the stream: what became of each wanted index, whenever scheduler or agents have written something of it. A copy that is gone
 * cannot be looked up any more, so whose it was is remembered from when it was seen; whatever takes one away changes its process, app or placement too.
 */
import type { ExitReport } from '@cupola/contract/internal';
import type { StreamInstance, StreamInstances } from '@cupola/contract/v3/stream';
import type { Change } from '@cupola/store/store';
import type { ApiDeps } from '../deps.ts';
import { isoTime } from '../http/iso-time.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { among } from '../pages/filters.ts';
import { readHomes } from '../pages/homes.ts';
import type { ProcessRow } from '../processes/find-process.ts';
import { type Instance, readInstances } from '../processes/instances.ts';
import { type CopyRow, readSnapshot } from '../processes/read-snapshot.ts';
import type { Happening } from './frames.ts';

/** Of 200 bytes each: a copy that is forgotten and then goes is told of with what comes in its place. */
const PARTS_MAX = 20_000;
/** Of 300 bytes for each instance: what is forgotten is said once more than needed. */
const SAID_MAX = 2_000;

type Deps = Pick<ApiDeps, 'store' | 'now'>;

export interface InstancesReader {
  /**
   * Instances of the processes that these changes concern, each at the last revision that does. `isNews`: without those that are as they were when they were
   * last read.
   */
  read(changes: readonly Change[], options: { isNews: boolean }): Promise<Happening[]>;
}

export function createInstancesReader({ store, now }: Deps): InstancesReader {
  const processOf = new Map<string, string>();
  const said = new Map<string, string>();

  async function processesOf(changes: readonly Change[]): Promise<Map<string, number>> {
    const revisions = new Map<string, number>();
    const concern = (process: string | undefined, revision: number): void => {
      if (process !== undefined) revisions.set(process, Math.max(revisions.get(process) ?? 0, revision));
    };
    const parts = changes.filter(({ kind }) => kind === 'placement' || kind === 'copy');
    await learn(parts.map(({ guid }) => guid));
    for (const { guid, revision } of parts) concern(processOf.get(guid), revision);
    for (const { kind, guid, revision } of changes)
      if (kind === 'process' || kind === 'placement_error') concern(guid, revision);
    const apps = new Map(changes.filter(({ kind }) => kind === 'app').map(({ guid, revision }) => [guid, revision]));
    for (const row of await readProcessGuids([...apps.keys()])) concern(row.guid, apps.get(row.app_guid) ?? 0);
    return revisions;
  }

  async function learn(parts: readonly string[]): Promise<void> {
    const rows = await inChunks([...new Set(parts)], some =>
      store.read
        .selectFrom('placements')
        .select(['guid', 'process_guid'])
        .where(among('guid', some))
        .union(store.read.selectFrom('copies').select(['guid', 'process_guid']).where(among('guid', some)))
        .execute(),
    );
    for (const { guid, process_guid } of rows) remember(processOf, { key: guid, value: process_guid, max: PARTS_MAX });
  }

  const readProcessGuids = (apps: readonly string[]) =>
    inChunks(apps, some =>
      store.read.selectFrom('processes').select(['guid', 'app_guid']).where(among('app_guid', some)).execute(),
    );

  return {
    read: async (changes, { isNews }) => {
      const revisions = await processesOf(changes);
      const guids = [...revisions.keys()];
      const rows = await readProcesses({ store, now }, guids);
      const snapshot = await readSnapshot(
        store.read,
        rows.map(({ guid }) => guid),
      );
      const homes = await readHomes(
        store.read,
        'processes',
        rows.map(({ guid }) => guid),
      );
      const placements = Map.groupBy(snapshot.placements, ({ process_guid }) => process_guid);
      const copies = Map.groupBy(snapshot.copies, ({ process_guid }) => process_guid);
      const errors = Map.groupBy(snapshot.errors, ({ process_guid }) => process_guid);
      return rows.flatMap(process => {
        const { guid, app_guid: appGuid, type, app_state: state } = process;
        const mine = {
          placements: placements.get(guid) ?? [],
          copies: copies.get(guid) ?? [],
          errors: errors.get(guid) ?? [],
        };
        const instances = readInstances({ ...process, isStarted: state === 'STARTED' }, mine, now());
        const object: StreamInstances = {
          process_guid: guid,
          app_guid: appGuid,
          type,
          instances: instances.map(present),
        };
        const json = JSON.stringify(object);
        const isOld = said.get(guid) === json;
        remember(said, { key: guid, value: json, max: SAID_MAX });
        const home = homes.get(guid);
        if (home === undefined || (isNews && isOld)) return [];
        const { organizationGuid = null, spaceGuid = null } = home;
        const revision = revisions.get(guid) ?? 0;
        return [{ kind: 'instances' as const, guid, organizationGuid, spaceGuid, appGuid, revision, json }];
      });
    },
  };
}

function readProcesses({ store }: Deps, guids: readonly string[]): Promise<Array<ProcessRow & { app_state: string }>> {
  return inChunks(guids, some =>
    store.read
      .selectFrom('processes')
      .innerJoin('apps', 'apps.guid', 'processes.app_guid')
      .selectAll('processes')
      .select('apps.state as app_state')
      .where(among('processes.guid', some))
      .execute(),
  );
}

function present({ index, state, since, routable, details, copy }: Instance<CopyRow>): StreamInstance {
  const exit = copy?.exit_json == null ? null : (JSON.parse(copy.exit_json) as ExitReport);
  return {
    index,
    state,
    since: since === null ? null : isoTime(since),
    routable,
    details,
    instance_guid: copy?.guid ?? null,
    cell_id: copy?.cell_id ?? null,
    crashes: copy?.crash_count ?? 0,
    last_exit:
      exit === null
        ? null
        : { code: exit.code, signal: exit.signal, out_of_memory: exit.outOfMemory, reason: exit.reason },
  };
}

function remember(map: Map<string, string>, { key, value, max }: { key: string; value: string; max: number }): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next().value;
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}
