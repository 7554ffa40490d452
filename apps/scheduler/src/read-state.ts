/** The whole cluster as `decide` takes it, in nine queries and one snapshot. */
import type { CellFacts, ClusterState, CopyFacts, DesiredProcess, Placement } from '@cupola/model/cluster-state';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { Database } from '@cupola/store/schema';
import type { Store } from '@cupola/store/store';
import type { Kysely } from 'kysely';

type Db = Kysely<Database>;

/** What is committed at one moment: no query sees a commit that another one does not. */
export async function readSnapshot(store: Pick<Store, 'read'>): Promise<ClusterState> {
  return store.read.transaction().execute(readState);
}

/** Reads inside the transaction that it is given. */
export async function readState(db: Db): Promise<ClusterState> {
  const segments = await readSegments(db);
  const { revision } = await db.selectFrom('counter').select('revision').executeTakeFirstOrThrow();
  return {
    processes: [...(await readProcesses(db, segments)), ...(await readTasks(db, segments))],
    placements: await readPlacements(db),
    copies: await readCopies(db),
    cells: await readCells(db),
    errors: await db
      .selectFrom('placement_errors')
      .select(['process_guid as processGuid', 'index_number as index', 'reason'])
      .execute(),
    generationFloor: revision,
    fresh: true,
  };
}

/** Those that were started once: others have nothing to run. */
async function readProcesses(db: Db, segments: Segments): Promise<DesiredProcess[]> {
  const rows = await db
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .innerJoin('run_specs', 'run_specs.guid', 'processes.run_spec_guid')
    .leftJoin('droplets', 'droplets.guid', 'run_specs.droplet_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .select([
      'spaces.isolation_segment_guid',
      'organizations.default_isolation_segment_guid',
      'processes.guid',
      'processes.app_guid',
      'processes.instances',
      'processes.start_sequence',
      'processes.index_starts_json',
      'apps.state',
      'apps.stopped_at',
      'run_specs.guid as spec_guid',
      'run_specs.memory_mb',
      'run_specs.disk_mb',
      'run_specs.stack',
      'droplets.abi_key',
    ])
    .orderBy('processes.guid')
    .execute();
  return rows.map(row => ({
    guid: row.guid,
    appGuid: row.app_guid,
    isStarted: row.state === 'STARTED',
    stoppedAt: row.stopped_at,
    instances: row.instances,
    spec: {
      guid: row.spec_guid,
      memoryMb: row.memory_mb,
      diskMb: row.disk_mb,
      stack: row.stack,
      abiKey: row.abi_key,
      segment: segmentOf(row, segments),
    },
    startSequence: row.start_sequence,
    indexStarts: row.index_starts_json === '{}' ? {} : (JSON.parse(row.index_starts_json) as Record<string, number>),
  }));
}

interface Segmented {
  isolation_segment_guid: string | null;
  default_isolation_segment_guid: string | null;
}

/** Name by guid, as the cells' are compared: what an operator types on a machine may differ in case. */
type Segments = ReadonlyMap<string, string>;

async function readSegments(db: Db): Promise<Segments> {
  const rows = await db.selectFrom('isolation_segments').select(['guid', 'name']).execute();
  return new Map(rows.map(({ guid, name }) => [guid, name.toLowerCase()]));
}

/** Of the space, else of its organization (CF); the shared one, which is everybody's, has no row. */
function segmentOf(row: Segmented, segments: Segments): string | null {
  return segments.get(row.isolation_segment_guid ?? row.default_isolation_segment_guid ?? '') ?? null;
}

/** Those that have not ended, as processes of one instance that is started once. */
async function readTasks(db: Db, segments: Segments): Promise<DesiredProcess[]> {
  const rows = await db
    .selectFrom('tasks')
    .leftJoin('droplets', 'droplets.guid', 'tasks.droplet_guid')
    .innerJoin('run_specs', 'run_specs.guid', 'tasks.run_spec_guid')
    .innerJoin('apps', 'apps.guid', 'tasks.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .select(['spaces.isolation_segment_guid', 'organizations.default_isolation_segment_guid'])
    .select(['tasks.guid', 'tasks.app_guid', 'tasks.state', 'tasks.run_spec_guid', 'droplets.abi_key'])
    .select(['run_specs.memory_mb', 'run_specs.disk_mb', 'run_specs.stack'])
    .where('tasks.state', 'in', ['PENDING', 'RUNNING', 'CANCELING'])
    .orderBy('tasks.created_at')
    .execute();
  return rows.map(row => ({
    guid: row.guid,
    appGuid: row.app_guid,
    isStarted: row.state !== 'CANCELING',
    stoppedAt: null,
    instances: 1,
    spec: {
      guid: row.run_spec_guid,
      memoryMb: row.memory_mb,
      diskMb: row.disk_mb,
      stack: row.stack,
      abiKey: row.abi_key,
      segment: segmentOf(row, segments),
    },
    startSequence: 1,
    indexStarts: {},
    task: row.state === 'PENDING' ? 'PENDING' : 'RUNNING',
  }));
}

function readPlacements(db: Db): Promise<Placement[]> {
  return db
    .selectFrom('placements')
    .select([
      'guid',
      'generation',
      'process_guid as processGuid',
      'app_guid as appGuid',
      'index_number as index',
      'run_spec_guid as runSpecGuid',
      'start_sequence as startSequence',
      'cell_id as cellId',
      'memory_mb as memoryMb',
      'disk_mb as diskMb',
    ])
    .execute();
}

async function readCopies(db: Db): Promise<CopyFacts[]> {
  const rows = await db
    .selectFrom('copies')
    .leftJoin('run_specs', 'run_specs.guid', 'copies.run_spec_guid')
    .select([
      'copies.guid',
      'copies.process_guid as processGuid',
      'copies.index_number as index',
      'copies.generation',
      'copies.cell_id as cellId',
      'copies.state',
      'copies.attempt',
      'copies.routable',
      'copies.placement_error as placementError',
      'run_specs.memory_mb',
      'run_specs.disk_mb',
    ])
    .execute();
  return rows.map(({ routable, memory_mb, disk_mb, ...copy }) => ({
    ...copy,
    routable: routable === 1,
    // The app was deleted and its spec with it; the copy still holds what nobody can look up any more.
    memoryMb: memory_mb ?? INSTANCE_LIMITS.memoryDefaultMb,
    diskMb: disk_mb ?? INSTANCE_LIMITS.diskDefaultMb,
  }));
}

async function readCells(db: Db): Promise<CellFacts[]> {
  const rows = await db
    .selectFrom('cells')
    .leftJoin('cell_heartbeats', join =>
      join
        .onRef('cell_heartbeats.cell_id', '=', 'cells.cell_id')
        .onRef('cell_heartbeats.session', '=', 'cells.session'),
    )
    .select([
      'cells.cell_id as id',
      'cells.zone',
      'cells.segment',
      'cells.state',
      'cells.drained_at',
      'cells.session',
      'cells.stacks_json',
      'cells.capacity_memory_mb as memoryMb',
      'cells.capacity_disk_mb as diskMb',
      'cells.capacity_copies as copiesMax',
      'cell_heartbeats.counter',
    ])
    .orderBy('cells.cell_id')
    .execute();
  return rows.map(({ stacks_json, drained_at, segment, ...cell }) => ({
    ...cell,
    segment: segment?.toLowerCase() ?? null,
    isDrained: drained_at !== null,
    stacks: JSON.parse(stacks_json) as Array<{ name: string; abiKey: string }>,
  }));
}
