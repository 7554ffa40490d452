/** `cells`, `cell drain NAME`, `cell activate NAME`: the machines that run apps, and emptying one. */
import { cellList } from '@cupola/contract/internal';
import type { z } from 'zod';
import { internalResult } from '../internal-call.ts';
import { command, dataFolder, PlainError } from '../platform-config.ts';

interface Flags {
  data?: string;
  json?: boolean;
}
type Cell = z.infer<typeof cellList>['cells'][number];

const LOOK_MS = 250;
/** Something new is said this often while nothing moves. */
const SAY_MS = 10_000;
/** An API that has not answered for so long is not waited for (ours). */
const AWAY_MS = 30_000;

async function readCells(data: string): Promise<Cell[]> {
  return cellList.parse(await internalResult(data, 'GET', '/internal/cells')).cells;
}

export async function cells(flags: Flags): Promise<void> {
  const found = await readCells(dataFolder(flags.data));
  if (flags.json === true) return console.log(JSON.stringify(found, null, 2));
  const rows = found.map(({ name, cellId, zone, segment, state, rung, placedCopies, placedMemoryMb, memoryMb }) => [
    name,
    cellId,
    segment === null ? zone : `${zone} ${segment}`,
    state.toLowerCase(),
    rung.rung,
    String(placedCopies),
    `${placedMemoryMb}/${memoryMb} MB`,
  ]);
  const table = [['name', 'id', 'zone', 'state', 'sandbox', 'instances', 'memory'], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map(row => row[column]?.length ?? 0))) ?? [];
  for (const row of table)
    console.log(
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

/** By its name, or by its id where several have that name. */
async function cellNamed(data: string, name: string): Promise<Cell> {
  const all = await readCells(data);
  const found = all.filter(cell => cell.cellId === name || cell.name === name);
  if (found.length > 1)
    throw new PlainError(
      `${found.length} cells are called ${name}. Name it by its id: ${command('cells', data)} shows them.`,
    );
  const [cell] = found;
  if (cell === undefined)
    throw new PlainError(
      `There is no cell ${name}. There ${all.length === 1 ? 'is' : 'are'}: ${all.map(one => one.name).join(', ') || 'none'}`,
    );
  return cell;
}

async function wish(data: string, { cellId }: Cell, drain: boolean): Promise<void> {
  await internalResult(data, 'POST', `/internal/cells/${encodeURIComponent(cellId)}/drain`, { drain });
}

export async function activateCell(name: string, flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const cell = await cellNamed(data, name);
  await wish(data, cell, false);
  if (flags.json === true) return console.log(JSON.stringify({ cellId: cell.cellId, drain: false }));
  console.log(`${cell.name} takes apps again.`);
}

export async function drainCell(name: string, flags: Flags & { wait: boolean }): Promise<void> {
  const data = dataFolder(flags.data);
  const cell = await cellNamed(data, name);
  await wish(data, cell, true);
  const say = (text: string): void => {
    if (flags.json !== true) console.log(text);
  };
  if (!flags.wait) {
    say(`${cell.name} takes no more apps; those that are there move away. How far it is: ${command('cells', data)}`);
  } else {
    await untilEmpty(data, cell, say);
    say(`${cell.name} is empty. It takes apps again after: ${command('cell activate', data)} ${name}`);
  }
  if (flags.json === true) console.log(JSON.stringify({ cellId: cell.cellId, drain: true, empty: flags.wait }));
}

async function untilEmpty(data: string, { cellId }: Cell, say: (text: string) => void): Promise<void> {
  let shown = -1;
  let saidAtMs = performance.now();
  let heardAtMs = saidAtMs;
  for (;;) {
    const all = await readCells(data).catch((error: unknown) => {
      // The API is away for a moment, or swapped: the cell goes on being emptied.
      if (performance.now() - heardAtMs > AWAY_MS) throw error;
      return null;
    });
    if (all === null) {
      await new Promise(resolve => setTimeout(resolve, LOOK_MS));
      continue;
    }
    heardAtMs = performance.now();
    const cell = all.find(one => one.cellId === cellId);
    const left = cell === undefined ? 0 : Math.max(cell.copies, cell.placedCopies);
    if (left === 0) return;
    if (left !== shown) {
      say(`${left} instance${left === 1 ? '' : 's'} left`);
      saidAtMs = performance.now();
    } else if (performance.now() - saidAtMs > SAY_MS) {
      say(
        `still ${left}: an app moves only where another cell has room and its stack; \`cupola app NAME\` says what it waits for. Ctrl-C leaves it to go on by itself`,
      );
      saidAtMs = performance.now();
    }
    shown = left;
    await new Promise(resolve => setTimeout(resolve, LOOK_MS));
  }
}
