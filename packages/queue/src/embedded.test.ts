import { openTestStore } from '@cupola/store/test-store';
import { describe, expect, test } from 'vitest';
import { buildQueueContract } from './build-queue.contract.ts';
import { embeddedQueue } from './embedded.ts';

async function openEmbedded() {
  let clock = 1_000_000;
  const { store, [Symbol.asyncDispose]: dispose } = await openTestStore({ now: () => clock });
  const queue = embeddedQueue(store);
  return {
    queue,
    store,
    pass: async (ms: number) => {
      clock += ms;
    },
    [Symbol.asyncDispose]: async () => {
      await queue.close();
      await dispose();
    },
  };
}

describe('BuildQueue in the store', () => {
  buildQueueContract(openEmbedded);

  test('hints outlive the queue that took them', async () => {
    await using opened = await openEmbedded();
    await opened.queue.offer({ buildGuid: 'b1', priority: 1 });
    await opened.queue.close();
    expect(await embeddedQueue(opened.store).next('s1', 1_000)).toEqual({ buildGuid: 'b1', priority: 1 });
  });

  test('hints move no revision: watchers are not told of them', async () => {
    await using opened = await openEmbedded();
    await opened.queue.offer({ buildGuid: 'b1', priority: 1 });
    await opened.queue.next('s1', 1_000);
    expect(await opened.store.cursor()).toMatchObject({ revision: 0 });
  });

  test('equal priorities go by age', async () => {
    await using opened = await openEmbedded();
    await opened.queue.offer({ buildGuid: 'z', priority: 1 });
    await opened.pass(1);
    await opened.queue.offer({ buildGuid: 'a', priority: 1 });
    expect((await opened.queue.next('s1', 1_000))?.buildGuid).toBe('z');
  });
});
