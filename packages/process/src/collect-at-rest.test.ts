import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { isAtRest } from './collect-at-rest.ts';

test('who has worked and works no more collects; who works, or has done little since, does not', () => {
  expect(isAtRest({ utilization: 0.001, workedMs: 3_000 })).toBe(true);
  expect(isAtRest({ utilization: 0.3, workedMs: 3_000 })).toBe(false);
  expect(isAtRest({ utilization: 0.001, workedMs: 40 })).toBe(false);
});

test('what Node.js offers is asked for once the work is done', () => {
  const program = `
    const { collectAtRest } = await import(${JSON.stringify(`${import.meta.dirname}/collect-at-rest.ts`)});
    const { gc } = globalThis;
    globalThis.gc = options => { gc(options); console.log(options.flavor); process.exit(); };
    setInterval(() => undefined, 60_000);
    collectAtRest(20);
    setTimeout(() => { for (const end = performance.now() + 600; performance.now() < end; ); }, 1);
  `;
  const ran = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  expect(ran).toMatchObject({ status: 0, stdout: 'last-resort\n' });
});
