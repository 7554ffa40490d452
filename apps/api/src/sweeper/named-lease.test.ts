import { openTestStore } from '@cupola/store/test-store';
import { expect, test } from 'vitest';
import { createNamedLease } from './named-lease.ts';

async function open() {
  const opened = await openTestStore();
  const clock = { ms: 0 };
  const { store } = opened;
  return {
    lease: () => createNamedLease({ store, name: 'sweeper', ttlMs: 100, monotonic: () => clock.ms }),
    pass: (ms: number) => {
      clock.ms += ms;
    },
    row: () => store.read.selectFrom('leases').selectAll().executeTakeFirst(),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

test('one holds the lease, and keeps it by holding it again', async () => {
  await using test = await open();
  const [first, second] = [test.lease(), test.lease()];
  expect([await first.hold(), await second.hold(), await first.hold()]).toEqual([true, false, true]);
});

test('a lease whose counter moves is never taken over', async () => {
  await using test = await open();
  const [first, second] = [test.lease(), test.lease()];
  await first.hold();
  await second.hold();
  test.pass(99);
  await first.hold();
  await second.hold();
  test.pass(99);
  expect(await second.hold()).toBe(false);
});

test('a lease whose holder is gone is taken over after its time, under a higher fence', async () => {
  await using test = await open();
  const [gone, next] = [test.lease(), test.lease()];
  await gone.hold();
  expect(await next.hold()).toBe(false);
  test.pass(100);
  expect(await next.hold()).toBe(true);
  expect(await test.row()).toMatchObject({ fence: 2 });
  expect(await gone.hold()).toBe(false);
});

test('a lease that was given back is free at once; one that was lost cannot be given back', async () => {
  await using test = await open();
  const [first, second, third] = [test.lease(), test.lease(), test.lease()];
  await first.hold();
  await first.release();
  expect(await second.hold()).toBe(true);
  await first.release();
  expect(await third.hold()).toBe(false);
});
