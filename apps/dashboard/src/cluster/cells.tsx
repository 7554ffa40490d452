import type { ClusterCell } from '@cupola/contract/v3/cluster';
import { carryOut } from '../app/do.ts';
import type { Health } from '../apps/health.ts';
import { Action } from '../ui/action.tsx';
import { Meter } from '../ui/meter.tsx';
import { Since } from '../ui/since.tsx';
import { StateWord } from '../ui/state-word.tsx';
import { TableHead } from '../ui/table-head.tsx';
import { share } from './attention.ts';
import { changeCell } from './commands.ts';

export function Cells({ cells }: { cells: readonly ClusterCell[] }) {
  return (
    <section className="sheet" aria-labelledby="cells-title">
      <header>
        <h2 id="cells-title">Cells</h2>
        <span className="quiet small">machines that run apps</span>
      </header>
      <div className="scrolls">
        <table>
          <TableHead names={['cell', 'state', 'zone', 'memory given away', 'instances', 'stacks', '']} />
          <tbody>
            {cells.map(cell => (
              <CellRow key={cell.guid} cell={cell} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function healthOf({ state, drained_at, instances }: ClusterCell): Health {
  if (state === 'LOST') return { word: 'lost', tone: 'bad' };
  if (drained_at === null) return { word: 'takes apps', tone: 'good' };
  return instances.running + instances.placed === 0
    ? { word: 'empty', tone: 'off' }
    : { word: 'draining', tone: 'moving' };
}

function CellRow({ cell }: { cell: ClusterCell }) {
  const { name, guid, zone, isolation_segment: segment, memory_in_mb: memory, instances, stacks, drained_at } = cell;
  const commands = changeCell(cell, drained_at === null ? 'drain' : 'activate');
  return (
    <tr>
      <td>
        <strong>{name}</strong>
        <br />
        <span className="quiet small number">{guid.slice(0, 8)}</span>
      </td>
      <td>
        <StateWord health={healthOf(cell)} />
        {cell.lost_at !== null && (
          <span className="quiet small">
            {' '}
            <Since at={Date.parse(cell.lost_at)} after=" ago" />
          </span>
        )}
      </td>
      <td className="number">
        {zone}
        {segment !== null && <span className="quiet"> {segment}</span>}
      </td>
      <td>
        <Meter
          part={memory.capacity === 0 ? 0 : memory.placed / memory.capacity}
          text={`${share(memory)} of ${memory.capacity} MB`}
        />
      </td>
      <td className="number">
        {instances.running}
        {instances.placed !== instances.running && <span className="quiet"> of {instances.placed}</span>}
      </td>
      <td className="number">{stacks.join(' ')}</td>
      <td className="end">
        <Action
          label={drained_at === null ? 'Drain' : 'Take apps again'}
          commands={commands}
          run={() => carryOut(commands)}
          done={drained_at === null ? `What runs on ${name} moves away.` : `${name} takes apps again.`}
        />
      </td>
    </tr>
  );
}
