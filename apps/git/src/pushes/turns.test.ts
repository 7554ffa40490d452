import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

test('take() waits for those before, and tells them that a newer one has come', async () => {
  const turns = createTurns();
  const first = await turns.take('app');
  expect(first.newer.aborted).toBe(false);
  let hasSecond = false;
  const second = turns.take('app').then(turn => {
    hasSecond = true;
    return turn;
  });
  const third = turns.take('app');
  expect(first.newer.aborted).toBe(true);
  expect(hasSecond).toBe(false);
  first[Symbol.dispose]();
  expect((await second).newer.aborted).toBe(true);
  (await second)[Symbol.dispose]();
  expect((await third).newer.aborted).toBe(false);
});

test('take() of another app waits for nobody', async () => {
  const turns = createTurns();
  using one = await turns.take('one');
  using other = await turns.take('other');
  expect([one.newer.aborted, other.newer.aborted]).toEqual([false, false]);
});
