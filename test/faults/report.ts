/** A line of the table for each cell. */
import type { Result } from './run-cell.ts';

const COLUMNS = [
  'part',
  'fault',
  'requests',
  'failed',
  'slowest',
  'push',
  'scale',
  'deploy',
  'all as before',
  'moved',
  'two at once',
  'lost',
];
export const HEAD = `| ${COLUMNS.join(' | ')} |\n|${COLUMNS.map(() => '---|').join('')}`;

/** `lost` says what is wrong with it, and `nothing` where all that was acknowledged is there. */
export function lineOf({ cell, asked, failed, slowestMs, seconds, moved, overlapMs, wrong }: Result): string {
  const after = (value: number | undefined): string => (value === undefined ? '-' : `${value.toFixed(1)} s`);
  return `| ${[
    cell.part,
    cell.fault,
    asked,
    failed.length,
    `${(slowestMs / 1_000).toFixed(1)} s`,
    after(seconds.push),
    after(seconds.scale),
    after(seconds.deploy),
    after(seconds.all),
    moved,
    `${(overlapMs / 1_000).toFixed(1)} s`,
    wrong.length === 0 ? 'nothing' : wrong.join('; ').replaceAll(/\s+/g, ' ').slice(0, 200),
  ].join(' | ')} |`;
}
