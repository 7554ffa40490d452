/** What every log store promises. An adapter's test file calls it with a way to open an empty one. */
import { describe, expect, test, vi } from 'vitest';
import type { LogLine, LogStore } from './log-store.ts';

interface Opened extends AsyncDisposable {
  logs: LogStore;
  /** Opens the same lines again, as after a restart. */
  reopen(): Promise<LogStore>;
}
/** `now`: epoch ms, for both the store and the lines of the suite. */
type Open = (options: { now: () => number }) => Promise<Opened>;

const NOW_MS = 1_764_000_000_000;
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const now = (): number => NOW_MS;

/** A line said `offsetNs` after (or before) now. */
export function aLine(line: string, given: Partial<LogLine> & { offsetNs?: number } = {}): LogLine {
  const { offsetNs = 0, ...rest } = given;
  return {
    appGuid: 'app-1',
    sourceType: 'APP/PROC/WEB',
    instanceId: '0',
    type: 'OUT',
    timestampNs: NOW_NS + BigInt(offsetNs),
    line,
    ...rest,
  };
}

const texts = (lines: readonly LogLine[]): string[] => lines.map(({ line }) => line);
const all = { appGuid: 'app-1', limit: 10_000, descending: false };

export function logStoreContract(open: Open): void {
  describe('read()', () => {
    test('read() gives lines back as they were appended', async () => {
      await using opened = await open({ now });
      const line = aLine('größer "quoted" \u0000 \n end', { sourceType: 'STG', instanceId: '7', type: 'ERR' });
      await opened.logs.append([line]);
      expect(await opened.logs.read(all)).toEqual([line]);
    });

    test('read() of an unknown app is empty', async () => {
      await using opened = await open({ now });
      expect(await opened.logs.read({ ...all, appGuid: 'nobody' })).toEqual([]);
      expect(await opened.logs.read({ ...all, appGuid: '../..' })).toEqual([]);
    });

    test('read() gives one app the lines of that app only, from a batch of many', async () => {
      await using opened = await open({ now });
      await opened.logs.append([aLine('mine'), aLine('theirs', { appGuid: 'app-2' }), aLine('mine too')]);
      expect(texts(await opened.logs.read(all))).toEqual(['mine', 'mine too']);
      expect(texts(await opened.logs.read({ ...all, appGuid: 'app-2' }))).toEqual(['theirs']);
    });

    test('read() gives the oldest or the newest of the limit', async () => {
      await using opened = await open({ now });
      await opened.logs.append(['1', '2', '3', '4'].map((text, at) => aLine(text, { offsetNs: at })));
      expect(texts(await opened.logs.read({ ...all, limit: 2 }))).toEqual(['1', '2']);
      expect(texts(await opened.logs.read({ ...all, limit: 2, descending: true }))).toEqual(['4', '3']);
    });

    test('read() takes the start in and leaves the end out, in both directions', async () => {
      await using opened = await open({ now });
      await opened.logs.append(['1', '2', '3', '4'].map((text, at) => aLine(text, { offsetNs: at })));
      const span = { ...all, startNs: NOW_NS + 1n, endNs: NOW_NS + 3n };
      expect(texts(await opened.logs.read(span))).toEqual(['2', '3']);
      expect(texts(await opened.logs.read({ ...span, descending: true }))).toEqual(['3', '2']);
      expect(await opened.logs.read({ ...all, startNs: NOW_NS + 4n })).toEqual([]);
      expect(await opened.logs.read({ ...all, endNs: NOW_NS })).toEqual([]);
    });

    test('read() filters by source type, exact or by what it begins with', async () => {
      await using opened = await open({ now });
      await opened.logs.append(
        ['APP/PROC/WEB', 'APP/TASK/MIGRATE', 'STG', 'STGX', 'RTR'].map(sourceType => aLine(sourceType, { sourceType })),
      );
      expect(texts(await opened.logs.read({ ...all, sourceTypes: ['APP/', 'STG'] }))).toEqual([
        'APP/PROC/WEB',
        'APP/TASK/MIGRATE',
        'STG',
      ]);
    });

    test('read() page by page, each from behind the last time, gives every line once', async () => {
      await using opened = await open({ now });
      const said = Array.from({ length: 500 }, (_, at) => `line ${at}`);
      await opened.logs.append(said.map(text => aLine(text)));
      const seen: string[] = [];
      for (let startNs = 0n, page: LogLine[] = []; startNs === 0n || page.length > 0; ) {
        page = await opened.logs.read({ ...all, startNs, limit: 30 });
        seen.push(...texts(page));
        startNs = (page.at(-1)?.timestampNs ?? startNs) + 1n;
      }
      expect(seen).toEqual(said);
    });
  });

  describe('append()', () => {
    test('append() makes times unique and rising, in the order of the calls', async () => {
      await using opened = await open({ now });
      await Promise.all([
        opened.logs.append([aLine('1'), aLine('2')]),
        opened.logs.append([aLine('3', { offsetNs: -5 }), aLine('4', { offsetNs: 100 })]),
      ]);
      const lines = await opened.logs.read(all);
      expect(texts(lines)).toEqual(['1', '2', '3', '4']);
      expect(lines.map(({ timestampNs }) => timestampNs - NOW_NS)).toEqual([0n, 1n, 2n, 100n]);
    });

    test('append() does not let a clock that is ahead pull later lines with it', async () => {
      await using opened = await open({ now });
      await opened.logs.append([aLine('from tomorrow', { offsetNs: 86_400_000_000_000 })]);
      await opened.logs.append([aLine('now', { offsetNs: 1_000 })]);
      const lines = await opened.logs.read(all);
      expect(lines.map(({ timestampNs }) => timestampNs - NOW_NS)).toEqual([0n, 1_000n]);
    });

    test('append() of nothing is no error', async () => {
      await using opened = await open({ now });
      await expect(opened.logs.append([])).resolves.toBeUndefined();
    });

    test('append() refuses what is no guid', async () => {
      await using opened = await open({ now });
      await expect(opened.logs.append([aLine('x', { appGuid: '../../etc' })])).rejects.toThrow('guid');
    });
  });

  describe('follow()', () => {
    test('follow() gets the lines of its app as they can be read, until it stops', async () => {
      await using opened = await open({ now });
      const told: LogLine[] = [];
      const stop = opened.logs.follow('app-1', lines => told.push(...lines));
      await opened.logs.append([aLine('1'), aLine('other', { appGuid: 'app-2' }), aLine('2')]);
      await vi.waitFor(() => expect(told).toHaveLength(2), 30_000);
      expect(told).toEqual(await opened.logs.read(all));
      stop();
      stop();
      await opened.logs.append([aLine('3')]);
      expect(texts(told)).toEqual(['1', '2']);
    });

    test('follow() by several gives each of them every line, in order', async () => {
      await using opened = await open({ now });
      const one: string[] = [];
      const two: string[] = [];
      opened.logs.follow('app-1', lines => one.push(...texts(lines)));
      opened.logs.follow('app-1', lines => two.push(...texts(lines)));
      const said = Array.from({ length: 40 }, (_, at) => String(at));
      await Promise.all(said.map(text => opened.logs.append([aLine(text)])));
      await vi.waitFor(() => expect([one, two]).toEqual([said, said]), 30_000);
    });
  });

  describe('a restart', () => {
    test('lines are there again, and times go on rising', async () => {
      await using opened = await open({ now });
      await opened.logs.append([aLine('1'), aLine('2', { offsetNs: 50 })]);
      const again = await opened.reopen();
      await again.append([aLine('3')]);
      const lines = await again.read(all);
      expect(lines.map(({ line, timestampNs }) => [line, timestampNs - NOW_NS])).toEqual([
        ['1', 0n],
        ['2', 50n],
        ['3', 51n],
      ]);
    });
  });

  describe('remove()', () => {
    test('remove() forgets an app, for ever, and no other', async () => {
      await using opened = await open({ now });
      await opened.logs.append([aLine('1'), aLine('theirs', { appGuid: 'app-2' })]);
      await opened.logs.remove('app-1');
      await opened.logs.remove('nobody');
      const again = await opened.reopen();
      expect(await again.read(all)).toEqual([]);
      expect(texts(await again.read({ ...all, appGuid: 'app-2' }))).toEqual(['theirs']);
    });

    test('remove() keeps a line that comes after it', async () => {
      await using opened = await open({ now });
      await opened.logs.append([aLine('before')]);
      await Promise.all([opened.logs.remove('app-1'), opened.logs.append([aLine('after')])]);
      const again = await opened.reopen();
      expect(texts(await again.read(all))).toEqual(['after']);
    });
  });
}
