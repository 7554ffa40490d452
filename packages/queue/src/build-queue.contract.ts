/**
 * What every build queue promises: hints at least once, in no sure order among equals, leased to one stager at a time. An adapter's test file calls it
 * with a way to open an empty one; `pass` moves the clock that judges leases, or really waits.
 */
import { describe, expect, test, vi } from 'vitest';
import type { BuildHint, BuildQueue } from './build-queue.ts';

interface Opened extends AsyncDisposable {
  queue: BuildQueue;
  pass(ms: number): Promise<void>;
}
type Open = () => Promise<Opened>;

const hint = (buildGuid: string, priority = 1): BuildHint => ({ buildGuid, priority });
const LEASE_MS = 1_000;

async function takeAll(queue: BuildQueue): Promise<string[]> {
  const taken: string[] = [];
  for (let next = await queue.next('s', LEASE_MS); next !== null; next = await queue.next('s', LEASE_MS))
    taken.push(next.buildGuid);
  return taken;
}

export function buildQueueContract(open: Open): void {
  describe('next()', () => {
    test('next() is null when none waits', async () => {
      await using opened = await open();
      expect(await opened.queue.next('s', LEASE_MS)).toBeNull();
    });

    test('next() gives an offered hint, to one stager', async () => {
      await using opened = await open();
      await opened.queue.offer(hint('b1'));
      const given = await Promise.all(['s1', 's2', 's3'].map(stager => opened.queue.next(stager, LEASE_MS)));
      expect(given.filter(found => found !== null)).toEqual([hint('b1')]);
    });

    test('next() hands a hint to another stager once its lease has passed', async () => {
      await using opened = await open();
      await opened.queue.offer(hint('b1'));
      await opened.queue.next('s1', LEASE_MS);
      await opened.pass(LEASE_MS - 100);
      expect(await opened.queue.next('s2', LEASE_MS)).toBeNull();
      await opened.pass(200);
      expect(await opened.queue.next('s2', LEASE_MS)).toEqual(hint('b1'));
    });

    test('next() gives lower priorities first, whatever the order of the offers', async () => {
      await using opened = await open();
      for (const priority of [3, 1, 2]) await opened.queue.offer(hint(`b${priority}`, priority));
      expect(await takeAll(opened.queue)).toEqual(['b1', 'b2', 'b3']);
    });

    test('next() lets organizations take turns when priorities count their unfinished builds', async () => {
      await using opened = await open();
      for (const priority of [1, 2, 3, 4]) await opened.queue.offer(hint(`loud-${priority}`, priority));
      for (const priority of [1, 2]) await opened.queue.offer(hint(`quiet-${priority}`, priority));
      const order = await takeAll(opened.queue);
      expect(order.slice(0, 2).sort()).toEqual(['loud-1', 'quiet-1']);
      expect(order.slice(2, 4).sort()).toEqual(['loud-2', 'quiet-2']);
      expect(order.slice(4)).toEqual(['loud-3', 'loud-4']);
    });
  });

  describe('offer()', () => {
    test('offer() again is no second hint', async () => {
      await using opened = await open();
      await Promise.all([opened.queue.offer(hint('b1')), opened.queue.offer(hint('b1'))]);
      await opened.queue.offer(hint('b1', 5));
      expect(await takeAll(opened.queue)).toEqual(['b1']);
    });

    test('offer() of what is leased leaves the lease alone', async () => {
      await using opened = await open();
      await opened.queue.offer(hint('b1'));
      await opened.queue.next('s1', LEASE_MS);
      await opened.queue.offer(hint('b1'));
      expect(await opened.queue.next('s2', LEASE_MS)).toBeNull();
    });

    test('offer() wakes listeners, each time, until they stop', async () => {
      await using opened = await open();
      const listener = vi.fn();
      const stop = opened.queue.onOffer(listener);
      await opened.queue.offer(hint('b1'));
      await opened.queue.offer(hint('b1'));
      await vi.waitFor(() => expect(listener.mock.calls.length).toBeGreaterThanOrEqual(2), 30_000);
      stop();
      const before = listener.mock.calls.length;
      await opened.queue.offer(hint('b2'));
      expect(listener.mock.calls.length).toBe(before);
    });

    test('offer() wakes a listener that then finds the hint', async () => {
      await using opened = await open();
      const found = Promise.withResolvers<BuildHint | null>();
      opened.queue.onOffer(() => found.resolve(opened.queue.next('s1', LEASE_MS)));
      await opened.queue.offer(hint('b1'));
      expect(await found.promise).toEqual(hint('b1'));
    });
  });

  describe('done()', () => {
    test('done() forgets a hint, leased or not, also after its lease', async () => {
      await using opened = await open();
      await opened.queue.offer(hint('b1'));
      await opened.queue.offer(hint('b2'));
      const leased = await opened.queue.next('s1', LEASE_MS);
      await opened.queue.done(leased?.buildGuid ?? '');
      await opened.queue.done(leased?.buildGuid === 'b1' ? 'b2' : 'b1');
      await opened.pass(LEASE_MS + 100);
      expect(await opened.queue.next('s2', LEASE_MS)).toBeNull();
    });

    test('done() of an unknown guid, or again, is no error', async () => {
      await using opened = await open();
      await opened.queue.offer(hint('b1'));
      await opened.queue.done('never-offered');
      await opened.queue.done('b1');
      await expect(opened.queue.done('b1')).resolves.toBeUndefined();
    });

    test('done() makes room for an offer of the same guid', async () => {
      await using opened = await open();
      await opened.queue.offer(hint('b1'));
      await opened.queue.next('s1', LEASE_MS);
      await opened.queue.done('b1');
      await opened.queue.offer(hint('b1'));
      expect(await opened.queue.next('s2', LEASE_MS)).toEqual(hint('b1'));
    });
  });
}
