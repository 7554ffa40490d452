/** What each cell is to run: placements with their run specs, opened for the agent. All cells in one view; a watcher gets those of its own. */
import type { PlacementItem } from '@cupola/contract/internal';
import type { RunSpec } from '@cupola/model/run-spec';
import type { ApiDeps } from '../../deps.ts';
import type { View } from '../live-view.ts';
import type { Entry } from '../view-entries.ts';
import { inChunks } from './in-chunks.ts';

type Deps = Pick<ApiDeps, 'store' | 'sealer' | 'log'>;

export function placementsView(deps: Deps): View {
  const query = () =>
    deps.store.read
      .selectFrom('placements')
      .innerJoin('run_specs', 'run_specs.guid', 'placements.run_spec_guid')
      .select(['placements.guid', 'placements.cell_id', 'placements.generation', 'placements.index_number'])
      .leftJoin('tasks', 'tasks.guid', 'placements.process_guid')
      .select(['placements.start_sequence', 'run_specs.guid as spec_guid', 'run_specs.spec_sealed', 'tasks.state']);
  type Row = Awaited<ReturnType<ReturnType<typeof query>['execute']>>[number];
  const changesQuery = () =>
    deps.store.read
      .selectFrom('development_changes')
      .innerJoin('run_specs', 'run_specs.droplet_guid', 'development_changes.droplet_guid')
      .innerJoin('placements', 'placements.run_spec_guid', 'run_specs.guid')
      .select(['placements.guid', 'development_changes.sequence', 'development_changes.digest'])
      .orderBy('development_changes.sequence');
  type Changes = Awaited<ReturnType<ReturnType<typeof changesQuery>['execute']>>;
  const toEntries = (rows: readonly Row[], changes: Changes): Entry[] => {
    const byPlacement = Map.groupBy(changes, change => change.guid);
    return rows.map(row => toEntry(row, byPlacement.get(row.guid) ?? []));
  };
  const toEntry = (row: Row, changes: Changes): Entry => {
    const { guid, generation, index_number: index, start_sequence: startSequence } = row;
    const runSpec = openSpec(deps, row);
    const item: Omit<PlacementItem, 'runSpec'> & { runSpec: RunSpec | null } = {
      guid,
      generation,
      index,
      startSequence,
      ...(changes.length === 0 ? {} : { changes: changes.map(({ sequence, digest }) => ({ sequence, digest })) }),
      ...(row.state === null || row.state === 'PENDING' ? {} : { mayStart: false }),
      runSpec,
    };
    return { guid, audience: row.cell_id, text: JSON.stringify(item), dueAtMs: null };
  };
  return {
    all: async () => toEntries(await query().execute(), await changesQuery().execute()),
    some: guids =>
      inChunks(guids, async some =>
        toEntries(
          await query().where('placements.guid', 'in', some).execute(),
          await changesQuery().where('placements.guid', 'in', some).execute(),
        ),
      ),
    concerned: async changes => {
      const tasks = changes.filter(({ kind }) => kind === 'task').map(({ guid }) => guid);
      return [
        ...changes.filter(({ kind }) => kind === 'placement').map(({ guid }) => guid),
        ...(await placementsOf(deps, tasks)),
      ];
    },
  };
}

async function placementsOf({ store }: Deps, tasks: readonly string[]): Promise<string[]> {
  return inChunks(tasks, async some => {
    const rows = await store.read.selectFrom('placements').select('guid').where('process_guid', 'in', some).execute();
    return rows.map(({ guid }) => guid);
  });
}

/**
 * Null when it cannot be opened. Its item is sent all the same: an agent that cannot read a placement keeps what runs under it, while one that is left out
 * would be stopped.
 */
function openSpec({ sealer, log }: Deps, row: { spec_guid: string; spec_sealed: string }): RunSpec | null {
  try {
    return JSON.parse(sealer.open(row.spec_sealed)) as RunSpec;
  } catch (error) {
    log.error({ err: error, runSpec: row.spec_guid }, 'a run spec cannot be opened; what runs by it goes on');
    return null;
  }
}
