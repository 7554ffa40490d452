/** What the rows of the bench share: medians, ratios, and the table that is printed. */
export interface Row {
  /** Number of the measure in the performance reference. */
  row: string;
  what: string;
  ours: string;
  beside: string;
  /** Ours over what it is measured beside, in the same run; null where there is nothing to compare with. */
  ratio: number | null;
  /** The aim in words, and whether it is met; true too where there was nothing to compare with. */
  aim: string;
  met: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

export const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
export const micros = (value: number): string => `${value.toFixed(1)} us`;
export const seconds = (value: number): string => `${(value / 1_000).toFixed(2)} s`;
export const megabytes = (kib: number): string => `${(kib / 1_024).toFixed(1)} MB`;

/** Milliseconds that `work` takes, and what it gives. */
export async function timed<T>(work: () => Promise<T>): Promise<{ tookMs: number; value: T }> {
  const start = performance.now();
  const value = await work();
  return { tookMs: performance.now() - start, value };
}

/** Ours without its peer. */
export function notInstalled(row: Pick<Row, 'row' | 'what' | 'ours' | 'aim'>, peer: string, apt: string): Row {
  return { ...row, beside: `${peer}: not installed: apt-get install ${apt}`, ratio: null, met: true };
}

export function print(rows: readonly Row[]): void {
  const cells = [
    ['row', 'measure', 'ours', 'beside', 'ratio', 'aim', ''],
    ...rows.map(({ row, what, ours, beside, ratio, aim, met }) => [
      row,
      what,
      ours,
      beside,
      ratio === null ? '' : ratio.toFixed(2),
      aim,
      met ? 'met' : 'MISSED',
    ]),
  ];
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map(line => line[column]?.length ?? 0))) ?? [];
  for (const line of cells)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}
