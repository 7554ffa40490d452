import { type CellReport, type CopyReport, cellReport } from '@cupola/contract/internal';
import { FencedError } from '@cupola/model/errors';
import { expect, test } from 'vitest';
import { newCopy, reportOf } from '../copies/copy.ts';
import { aPlacement, aRunSpec, silentLog, until } from '../fixtures.ts';
import { createReporter } from './reporter.ts';

function aReport(guid: string, overrides: Partial<CopyReport> = {}): CopyReport {
  const copy = newCopy(aPlacement(aRunSpec([]), { guid }), { nowMs: 1_000, monotonicMs: 0 });
  return { ...reportOf(copy), ...overrides };
}

/** A reporter that runs, what is so about its copies, and an API that takes reports or fails. */
function aReporter() {
  const present = new Map<string, CopyReport>();
  const taken: CellReport[] = [];
  const api: { failure: Error | null } = { failure: null };
  const ended = new AbortController();
  const reporter = createReporter({
    api: {
      post: async (_, body) => {
        if (api.failure !== null) throw api.failure;
        taken.push(cellReport.parse(body));
        return null;
      },
      stream: () => Promise.reject(new Error('not here')),
      close: () => Promise.resolve(),
    },
    cellId: 'cell-1',
    session: 'session-1',
    reportOf: guid => present.get(guid) ?? null,
    all: () => [...present.keys()],
    log: silentLog,
  });
  const running = reporter.run(ended.signal);
  return {
    reporter,
    present,
    taken,
    api,
    running,
    said: () => taken.map(({ copies }) => copies.map(({ guid, state }) => `${guid} ${state}`)),
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      await running.catch(() => undefined);
    },
  };
}

test('touch() sends what changed in the same moment in one report', async () => {
  await using at = aReporter();
  at.present.set('a', aReport('a')).set('b', aReport('b'));
  at.reporter.touch('a');
  at.reporter.touch('b');
  at.reporter.touch('a');
  await at.reporter.settled(5_000);
  expect(at.said()).toEqual([['a STARTING', 'b STARTING']]);
});

test('touch() of a start waits for more: a start that is quick takes one report', async () => {
  await using at = aReporter();
  at.present.set('a', aReport('a'));
  at.reporter.touch('a');
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
  expect(at.said()).toEqual([]);
  at.present.set('a', aReport('a', { state: 'RUNNING' }));
  at.reporter.touch('a');
  await at.reporter.settled(5_000);
  expect(at.said()).toEqual([['a RUNNING']]);
});

test('a start that cannot go on is told of at once', async () => {
  await using at = aReporter();
  at.present.set('a', aReport('a', { placementError: 'no layer' }));
  at.reporter.touch('a');
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
  expect(at.said()).toEqual([['a STARTING']]);
});

test('a report that failed is made anew from what is so then, under the next sequence', async () => {
  await using at = aReporter();
  at.api.failure = new Error('away');
  at.present.set('a', aReport('a', { state: 'STOPPING' }));
  at.reporter.touch('a');
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
  at.present.set('a', aReport('a', { state: 'RUNNING' }));
  at.api.failure = null;
  await until('taken', () => at.taken.length > 0);
  expect(at.said()).toEqual([['a RUNNING']]);
  expect(at.taken[0]?.sequence).toBeGreaterThan(1);
});

test('gone() is said until it has been heard', async () => {
  await using at = aReporter();
  at.api.failure = new Error('away');
  at.reporter.gone(aReport('a', { state: 'GONE' }));
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
  at.api.failure = null;
  await until('taken', () => at.taken.length > 0);
  await at.reporter.settled(5_000);
  expect(at.said()).toEqual([['a GONE']]);
});

test('gone() is not said of a copy that is there again', async () => {
  await using at = aReporter();
  at.reporter.gone(aReport('a', { state: 'GONE' }));
  at.present.set('a', aReport('a'));
  await at.reporter.settled(5_000);
  expect(at.said()).toEqual([['a STARTING']]);
});

test('crashed() is said before what the copy is by then, once', async () => {
  await using at = aReporter();
  at.reporter.crashed(aReport('a', { state: 'CRASHED', attempt: 1, sinceMs: 10 }));
  at.present.set('a', aReport('a', { state: 'STARTING', attempt: 2, sinceMs: 11 }));
  await at.reporter.settled(5_000);
  at.reporter.touch('a');
  await at.reporter.settled(5_000);
  expect(at.said()).toEqual([['a CRASHED', 'a STARTING'], ['a STARTING']]);
});

test('crashed() is not said twice of a copy that is still crashed', async () => {
  await using at = aReporter();
  const crash = aReport('a', { state: 'CRASHED', attempt: 1 });
  at.present.set('a', crash);
  at.reporter.crashed(crash);
  await at.reporter.settled(5_000);
  expect(at.said()).toEqual([['a CRASHED']]);
});

test('touchAll() says everything, in reports of a bounded size', async () => {
  await using at = aReporter();
  Array.from({ length: 300 }, (_, n) => at.present.set(`copy-${n}`, aReport(`copy-${n}`)));
  at.reporter.touchAll();
  await at.reporter.settled(5_000);
  expect(at.taken.map(({ copies }) => copies.length)).toEqual([250, 50]);
  expect(at.taken.map(({ sequence }) => sequence)).toEqual([1, 2]);
});

test('run() ends when a newer session holds the cell', async () => {
  await using at = aReporter();
  at.api.failure = new FencedError('this cell');
  at.present.set('a', aReport('a'));
  at.reporter.touch('a');
  await expect(at.running).rejects.toThrow(FencedError);
});
