/**
 * `npm run faults [-- --seed S --only PART[:FAULT],... --while push,scale,deploy --out FILE]`: every part of the cluster form, broken in every way,
 * while things go on. Prints a line for each cell; with `--out` adds them to a table in Markdown. Ends with 1 when something was lost, failed or placed twice.
 */
import { appendFileSync, existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Activity } from './activities.ts';
import { type Fault, MATRIX, type Part } from './matrix.ts';
import { HEAD, lineOf } from './report.ts';
import { runCell, startBroken } from './run-cell.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    only: { type: 'string' },
    while: { type: 'string', default: 'push,scale,deploy' },
    out: { type: 'string' },
  },
});
/** ms after the activities have begun. */
const BREAKS_WITHIN_MS = 2_000;

const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const activities = values.while.split(',') as Activity[];
const isAsked = (part: string, fault: string): boolean =>
  values.only?.split(',').some(asked => [part, `${part}:${fault}`].includes(asked)) ?? true;
const cells = (Object.entries(MATRIX) as Array<[Part, readonly Fault[]]>).flatMap(([part, faults]) =>
  faults.filter(fault => isAsked(part, fault)).map(fault => ({ part, fault })),
);
if (cells.length === 0) throw new Error(`Parts are ${Object.keys(MATRIX).join(', ')}; see test/faults/matrix.ts.`);

/** A number from 0 to 1 for the seed and the cell, the same whichever other cells are run. */
function chance(cell: { part: Part; fault: Fault }): number {
  let state = seed;
  for (const letter of `${cell.part} ${cell.fault}`)
    state = Math.imul(state ^ letter.charCodeAt(0), 0x9e3779b1) ^ (state >>> 15);
  return (state >>> 0) / 2 ** 32;
}

console.log(`seed ${seed}, ${cells.length} cells`);
await using broken = await startBroken({ isFollowed: cells.some(({ fault }) => fault === 'failover') });
console.log(HEAD);
if (values.out !== undefined && !existsSync(values.out)) appendFileSync(values.out, `${HEAD}\n`);
let isOver = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    console.log('ends after this cell');
    isOver = true;
  });
for (const [turn, cell] of cells.entries()) {
  if (isOver) break;
  const result = await runCell(broken, { ...cell, activities, afterMs: chance(cell) * BREAKS_WITHIN_MS }, turn);
  const line = lineOf(result);
  console.log(line);
  for (const what of [...result.wrong, ...result.failed.slice(0, 5)]) console.log(`    ${what}`);
  if (values.out !== undefined) appendFileSync(values.out, `${line}\n`);
  if (result.wrong.length > 0) process.exitCode = 1;
}
