/** What each cell is to run: placements with their run specs, opened for the agent. All cells in one view; a watcher gets its own. */
import type { PlacementItem } from '@cupola/contract/internal';
import type { RunSpec } from '@cupola/model/run-spec';
import type { ApiDeps } from '../../deps.ts';
import type { View } from '../hub.ts';

export interface CellPlacement {
  guid: string;
  cellId: string;
  item: PlacementItem;
}

/** SQLite takes 32,766 parameters; far fewer keep a statement's text small. */
const CHUNK = 500;

export function placementsView({ store, sealer }: Pick<ApiDeps, 'store' | 'sealer'>): View<CellPlacement> {
  const query = () =>
    store.read
      .selectFrom('placements')
      .innerJoin('run_specs', 'run_specs.guid', 'placements.run_spec_guid')
      .select([
        'placements.guid',
        'placements.cell_id',
        'placements.generation',
        'placements.index_number',
        'placements.start_sequence',
        'run_specs.spec_sealed',
      ]);
  type Row = Awaited<ReturnType<ReturnType<typeof query>['execute']>>[number];
  const toItem = (row: Row): CellPlacement => ({
    guid: row.guid,
    cellId: row.cell_id,
    item: {
      guid: row.guid,
      generation: row.generation,
      index: row.index_number,
      startSequence: row.start_sequence,
      runSpec: JSON.parse(sealer.open(row.spec_sealed)) as RunSpec,
    },
  });
  return {
    name: 'placements',
    all: async () => (await query().execute()).map(toItem),
    some: async guids => {
      const items: CellPlacement[] = [];
      for (let from = 0; from < guids.length; from += CHUNK) {
        const rows = await query()
          .where('placements.guid', 'in', guids.slice(from, from + CHUNK))
          .execute();
        items.push(...rows.map(toItem));
      }
      return items;
    },
    concerned: async changes => changes.filter(({ kind }) => kind === 'placement').map(({ guid }) => guid),
  };
}
