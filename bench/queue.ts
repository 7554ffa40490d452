/**
 * Row 15: build hints through the queue, each offered, taken and forgotten. The embedded queue, in the store, beside BullMQ on a Redis that fsyncs each write
 * as the store does; and what one offer costs beside one fdatasync. A cluster's Redis need not fsync each write: its hints are offered again.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildQueue } from '../packages/queue/src/build-queue.ts';
import { embeddedQueue } from '../packages/queue/src/embedded.ts';
import { openRedisQueue } from '../packages/queue/src/redis.ts';
import { startRedis } from '../packages/redis/src/redis-server.ts';
import { openTestStore } from '../packages/store/src/test-store.ts';
import { median, ms, type Row, timed } from './table.ts';

const HINTS = 2_000;
const AT_ONCE = 64;
const ALONE = 50;
const LEASE_MS = 60_000;

async function through(queue: BuildQueue): Promise<number> {
  let number = 0;
  const worker = async (): Promise<void> => {
    while (number < HINTS) {
      await queue.offer({ buildGuid: `b${number++}`, priority: 1 });
      const hint = await queue.next('s', LEASE_MS);
      if (hint !== null) await queue.done(hint.buildGuid);
    }
  };
  const { tookMs } = await timed(() => Promise.all(Array.from({ length: AT_ONCE }, worker)));
  return (HINTS / tookMs) * 1_000;
}

async function oneByOne(queue: BuildQueue): Promise<number> {
  const tookMs: number[] = [];
  for (let number = 0; number < ALONE; number++)
    tookMs.push((await timed(() => queue.offer({ buildGuid: `one-${number}`, priority: 1 }))).tookMs);
  for (let number = 0; number < ALONE; number++) await queue.done(`one-${number}`);
  return median(tookMs);
}

function fdatasyncs(): number {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-sync-'));
  const fd = openSync(join(folder, 'file'), 'w');
  const tookMs = Array.from({ length: ALONE }, () => {
    const began = performance.now();
    writeSync(fd, Buffer.alloc(4_096));
    fdatasyncSync(fd);
    return performance.now() - began;
  });
  closeSync(fd);
  rmSync(folder, { recursive: true });
  return median(tookMs);
}

export async function benchQueue(rounds: number): Promise<Row[]> {
  await using opened = await openTestStore();
  await using redis = await startRedis({ settings: ['--appendfsync', 'always'] });
  const embedded = embeddedQueue(opened.store);
  const bullmq = openRedisQueue({ url: redis.url });
  const [ours, beside, one, synced]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < rounds; round++) {
    ours.push(await through(embedded));
    beside.push(await through(bullmq));
    one.push(await oneByOne(embedded));
    synced.push(fdatasyncs());
  }
  await bullmq.close();
  const perSecond = median(ours) / median(beside);
  const latency = median(one) / median(synced);
  return [
    {
      row: '15',
      what: `build hints offered, taken and forgotten, ${AT_ONCE} at once, durable`,
      ours: `${Math.round(median(ours))}/s`,
      beside: `${Math.round(median(beside))}/s BullMQ, Redis with appendfsync always`,
      ratio: perSecond,
      aim: '>= 5',
      met: perSecond >= 5,
    },
    {
      row: '15',
      what: 'one hint offered, durable',
      ours: ms(median(one)),
      beside: `${ms(median(synced))} fdatasync of 4 KiB`,
      ratio: latency,
      aim: '<= 1.5',
      met: latency <= 1.5,
    },
  ];
}
