import { expect, test } from 'vitest';
import { endpoints } from '../endpoints.ts';
import { matrixWorld } from './matrix-world.ts';

/** Aligned, so that a row is read across. */
function row(name: string, cells: readonly string[], widths: readonly number[]): string {
  return [name.padEnd(NAME_WIDTH), ...cells.map((cell, index) => cell.padEnd(widths[index] ?? 0))].join('  ').trimEnd();
}
const NAME_WIDTH = 82;

test('who gets which status from which endpoint is as matrix.golden.txt says; a new endpoint needs a row there', {
  timeout: 240_000,
}, async () => {
  await using world = await matrixWorld();
  const askers = Object.entries(world.askers);
  const widths = askers.map(([name]) => name.length);
  const lines = [
    row(
      '',
      askers.map(([name]) => name),
      widths,
    ),
  ];
  for (const endpoint of endpoints) {
    const cells = await Promise.all(askers.map(async ([, token]) => String(await world.ask(endpoint, token))));
    lines.push(row(`${endpoint.method} ${endpoint.path}`, cells, widths));
  }
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('./matrix.golden.txt');
});
