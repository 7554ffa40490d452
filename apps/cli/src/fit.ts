/**
 * Tables on a terminal that is narrower than they are: cells are broken within their column, so that nothing is lost and columns stay columns.
 * Words of the last column stay whole, whatever their length: an address that is broken cannot be clicked.
 */
import { table } from '@cupola/push/text';

const GAP = 3;
/** A column is made no narrower (ours: a guid takes three lines then). */
const WIDTH_MIN = 12;

/** As `table`, in lines of at most `columns` characters where that can be. Null: into a pipe or file, where lines are as long as they are. */
export function fittedTable(rows: readonly (readonly string[])[], columns: number | null): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map(row => (row[at] ?? '').length)));
  if (columns === null || total(widths) <= columns) return table(rows);
  const narrow = narrowed(widths, columns);
  return table(
    rows.flatMap(row => {
      const cells = row.map((cell, at) => broken(cell, narrow[at] ?? cell.length, at === row.length - 1));
      const lines = Math.max(...cells.map(({ length }) => length));
      return Array.from({ length: lines }, (_, line) => cells.map(cell => cell[line] ?? ''));
    }),
  )
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n');
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP * (widths.length - 1);
}

/** The widest gives first. */
function narrowed(widths: readonly number[], columns: number): number[] {
  const left = [...widths];
  while (total(left) > columns) {
    const widest = Math.max(...left);
    if (widest <= WIDTH_MIN) break;
    left[left.indexOf(widest)] = widest - 1;
  }
  return left;
}

/** Into pieces of at most `width`: behind a blank or a comma where one is near the end; else anywhere, or nowhere where `whole` words are wanted. */
function broken(cell: string, width: number, whole: boolean): string[] {
  const pieces: string[] = [];
  let rest = cell;
  while (rest.length > width) {
    const at = Math.max(rest.lastIndexOf(' ', width), rest.slice(0, width).lastIndexOf(',') + 1);
    const isFar = at <= (whole ? 0 : width / 2);
    const end = isFar ? (whole ? wordEnd(rest, width) : width) : at;
    pieces.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return rest === '' && pieces.length > 0 ? pieces : [...pieces, rest];
}

function wordEnd(text: string, from: number): number {
  const end = text.slice(from).search(/[ ,]/);
  return end < 0 ? text.length : from + end + 1;
}
