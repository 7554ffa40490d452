import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aLine } from './log-store.contract.ts';
import type { LogLine, LogQuery } from './log-store.ts';
import { openSegmentLogs } from './segments.ts';

/** Segments of 1 KiB: some ten lines each, and never so many that one is dropped. */
const maxBytesPerApp = 8 * 1024;
const BASE_NS = aLine('').timestampNs;

const batches = fc.array(
  fc.record({
    offsets: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 12 }),
    restart: fc.boolean(),
  }),
  { maxLength: 6 },
);
const bound = fc.option(
  fc.integer({ min: -5, max: 90 }).map(offset => BASE_NS + BigInt(offset)),
  { nil: null },
);
const query = fc.record({
  startNs: bound,
  endNs: bound,
  limit: fc.integer({ min: 1, max: 80 }),
  descending: fc.boolean(),
});

/** What `read` promises, over all lines that were said. */
function expected(said: readonly LogLine[], { startNs, endNs, limit, descending }: LogQuery): LogLine[] {
  const wanted = said.filter(
    ({ timestampNs }) =>
      (startNs === undefined || timestampNs >= startNs) && (endNs === undefined || timestampNs < endNs),
  );
  return (descending ? wanted.toReversed() : wanted).slice(0, limit);
}

test('read() finds what was said, for any batches, restarts, spans and limits', async () => {
  await fc.assert(
    fc.asyncProperty(batches, fc.array(query, { minLength: 1, maxLength: 8 }), async (appends, queries) => {
      const folder = mkdtempSync(join(tmpdir(), 'cupola-logs-'));
      try {
        const open = () => openSegmentLogs({ folder, maxBytesPerApp, now: () => Number(BASE_NS / 1_000_000n) });
        let logs = open();
        const said: LogLine[] = [];
        logs.follow('app-1', lines => said.push(...lines));
        for (const { offsets, restart } of appends) {
          if (restart) {
            await logs.close();
            logs = open();
            logs.follow('app-1', lines => said.push(...lines));
          }
          await logs.append(offsets.map((offsetNs, at) => aLine(`line ${at}`, { offsetNs })));
        }
        for (const { startNs, endNs, ...rest } of queries) {
          const asked: LogQuery = {
            appGuid: 'app-1',
            ...rest,
            ...(startNs === null ? {} : { startNs }),
            ...(endNs === null ? {} : { endNs }),
          };
          expect(await logs.read(asked)).toEqual(expected(said, asked));
        }
        expect(said.every((line, at) => at === 0 || line.timestampNs > (said[at - 1]?.timestampNs ?? 0n))).toBe(true);
        await logs.close();
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: 150 },
  );
});
