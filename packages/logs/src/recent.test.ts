import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aLine, logStoreContract } from './log-store.contract.ts';
import type { LogLine } from './log-store.ts';
import { type RecentOptions, withRecent } from './recent.ts';
import { openSegmentLogs, type SegmentLogsOptions } from './segments.ts';

async function openRecent(options: Omit<SegmentLogsOptions, 'folder'> & { recent?: RecentOptions } = {}) {
  const { recent = {}, ...segments } = options;
  const folder = mkdtempSync(join(tmpdir(), 'cupola-recent-'));
  const below = openSegmentLogs({ folder, ...segments });
  const logs = withRecent(below, recent);
  return {
    logs,
    below,
    reopen: async () => {
      await logs.close();
      return withRecent(openSegmentLogs({ folder, ...segments }), recent);
    },
    [Symbol.asyncDispose]: async () => {
      await logs[Symbol.asyncDispose]();
      await logs.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe('LogStore with the newest lines in memory', () => logStoreContract(openRecent));

const texts = (lines: readonly LogLine[]): string[] => lines.map(({ line }) => line);
const many = (from: number, count: number): LogLine[] =>
  Array.from({ length: count }, (_, index) =>
    aLine(`line ${from + index} ${'x'.repeat(80)}`, { offsetNs: from + index }),
  );

describe('withRecent()', () => {
  test('a follower that reads behind a burst of three times the space on disk gets every line', async () => {
    await using opened = await openRecent({ maxBytesPerApp: 64 * 1024 });
    const { logs } = opened;
    await logs.append([aLine('before')]);
    const stop = logs.follow('app-1', () => undefined);
    const [before] = await logs.read({ appGuid: 'app-1', startNs: 0n, limit: 10, descending: false });
    let startNs = (before?.timestampNs ?? 0n) + 1n;
    for (let from = 1; from < 1_500; from += 100) await logs.append(many(from, 100));
    const seen: string[] = [];
    for (;;) {
      const lines = await logs.read({ appGuid: 'app-1', startNs, limit: 70, descending: false });
      if (lines.length === 0) break;
      seen.push(...texts(lines));
      startNs = (lines.at(-1)?.timestampNs ?? 0n) + 1n;
    }
    stop();
    expect(seen).toEqual(texts(many(1, 1_500)));
  });

  test('a follower that is further behind than what is kept in memory and on disk is told that lines were dropped', async () => {
    await using opened = await openRecent({ maxBytesPerApp: 32 * 1024, recent: { maxBytesPerApp: 20_000 } });
    const { logs } = opened;
    const stop = logs.follow('app-1', () => undefined);
    for (let from = 1; from < 1_500; from += 100) await logs.append(many(from, 100));
    const [first] = await logs.read({ appGuid: 'app-1', startNs: 1n, limit: 1, descending: false });
    stop();
    expect(first?.line).toMatch(/older log lines were dropped/);
  });

  test('lines of an app that nobody follows any more leave memory', async () => {
    let ms = 0;
    await using opened = await openRecent({
      maxBytesPerApp: 32 * 1024,
      recent: { maxBytesTotal: 100_000, monotonic: () => ms },
    });
    const { logs } = opened;
    logs.follow('app-2', () => undefined)();
    await logs.append(many(1, 50).map(line => ({ ...line, appGuid: 'app-2' })));
    ms = 60_000;
    const stop = logs.follow('app-1', () => undefined);
    await logs.append(many(1, 100));
    const read = await logs.read({ appGuid: 'app-1', startNs: aLine('').timestampNs, limit: 1_000, descending: false });
    stop();
    expect(read).toHaveLength(100);
  });

  test('reads what the store below reads, whatever came before somebody followed, in between and after', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ do: fc.constant('follow' as const), count: fc.constant(0) }),
      fc.record({ do: fc.constant('remove' as const), count: fc.constant(0) }),
      fc.record({ do: fc.constant('read' as const), count: fc.nat({ max: 40 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.integer({ min: 1, max: 20 }), async (steps, limit) => {
        await using opened = await openRecent({ recent: { maxBytesPerApp: 30_000 } });
        const { logs, below } = opened;
        let next = 1;
        for (const { do: what, count } of steps) {
          if (what === 'append') {
            await logs.append(many(next, count));
            next += count;
          } else if (what === 'follow') logs.follow('app-1', () => undefined);
          else if (what === 'remove') await logs.remove('app-1');
          else {
            const startNs = aLine('', { offsetNs: Math.max(0, next - count) }).timestampNs;
            const query = { appGuid: 'app-1', startNs, limit, descending: false };
            expect(await logs.read(query)).toEqual(await below.read(query));
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
