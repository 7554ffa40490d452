import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { aLine, logStoreContract } from './log-store.contract.ts';
import type { LogLine } from './log-store.ts';
import { openSegmentLogs, type SegmentLogsOptions } from './segments.ts';

async function openInTemporaryFolder(options: Omit<SegmentLogsOptions, 'folder'> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-logs-'));
  const logs = openSegmentLogs({ folder, ...options });
  return {
    logs,
    folder,
    reopen: async () => {
      await logs.close();
      return openSegmentLogs({ folder, ...options });
    },
    [Symbol.asyncDispose]: async () => {
      await logs.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe('LogStore as segments', () => logStoreContract(openInTemporaryFolder));

const all = { appGuid: 'app-1', limit: 100_000, descending: false };
const DROPPED = /^(\d+) older log lines were dropped/;

/** Lines of 100 bytes and a little, numbered from `first` on. */
const lines = (count: number, { first = 0, appGuid = 'app-1' } = {}): LogLine[] =>
  Array.from({ length: count }, (_, at) =>
    aLine(String(first + at).padStart(100, '.'), { appGuid, offsetNs: first + at }),
  );
const numberOf = ({ line }: LogLine): number => Number(line.replace(/^\.+/, ''));
const bytesOf = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

describe('the budget of an app', () => {
  test('the oldest lines go, and what is left says how many: nothing is lost silently', async () => {
    await using opened = await openInTemporaryFolder({ maxBytesPerApp: 64 * 1024 });
    for (let first = 0; first < 3_000; first += 50) await opened.logs.append(lines(50, { first }));
    const [notice, ...kept] = await opened.logs.read(all);
    const dropped = Number(DROPPED.exec(notice?.line ?? '')?.[1]);
    expect(kept.map(numberOf)).toEqual(Array.from({ length: 3_000 - dropped }, (_, at) => dropped + at));
    expect(notice).toMatchObject({ sourceType: 'API', type: 'ERR' });
    expect(bytesOf(join(opened.folder, 'app-1'))).toBeLessThan(72 * 1024);
  });

  test('the loss is said at the oldest end only, newest first too, and still after a restart', async () => {
    await using opened = await openInTemporaryFolder({ maxBytesPerApp: 16 * 1024 });
    for (let first = 0; first < 500; first += 50) await opened.logs.append(lines(50, { first }));
    const again = await opened.reopen();
    const newest = await again.read({ ...all, limit: 10, descending: true });
    expect(newest.map(numberOf)).toEqual([499, 498, 497, 496, 495, 494, 493, 492, 491, 490]);
    const whole = await again.read({ ...all, descending: true });
    expect(whole.filter(({ line }) => DROPPED.test(line))).toEqual([whole.at(-1)]);
  });

  test('who reads on from a line that is still there is told of no loss', async () => {
    await using opened = await openInTemporaryFolder({ maxBytesPerApp: 16 * 1024 });
    for (let first = 0; first < 500; first += 50) await opened.logs.append(lines(50, { first }));
    const [last] = await opened.logs.read({ ...all, limit: 20, descending: true });
    const behind = await opened.logs.read({ ...all, startNs: (last?.timestampNs ?? 0n) - 5n });
    expect(behind.map(numberOf)).toEqual([494, 495, 496, 497, 498, 499]);
  });

  test('a batch larger than the budget keeps its end', async () => {
    await using opened = await openInTemporaryFolder({ maxBytesPerApp: 16 * 1024 });
    await opened.logs.append(lines(1_000));
    const kept = await opened.logs.read(all);
    expect(kept[0]?.line).toMatch(DROPPED);
    expect(numberOf(kept.at(-1) as LogLine)).toBe(999);
  });
});

test('the budget of all takes from the app with the most: a quiet app keeps what it said', async () => {
  await using opened = await openInTemporaryFolder({ maxBytesPerApp: 64 * 1024, maxBytesTotal: 100 * 1024 });
  await opened.logs.append(lines(5, { appGuid: 'quiet' }));
  for (const appGuid of ['loud-1', 'loud-2', 'loud-3']) await opened.logs.append(lines(500, { appGuid }));
  const quiet = await opened.logs.read({ ...all, appGuid: 'quiet' });
  expect(quiet.map(numberOf)).toEqual([0, 1, 2, 3, 4]);
  const total = readdirSync(opened.folder).reduce((sum, app) => sum + bytesOf(join(opened.folder, app)), 0);
  expect(total).toBeLessThanOrEqual(100 * 1024);
});

describe('a kill in a write', () => {
  test('a torn last row is left out, and does not swallow the next', async () => {
    await using opened = await openInTemporaryFolder();
    await opened.logs.append(lines(3));
    const file = join(opened.folder, 'app-1', readdirSync(join(opened.folder, 'app-1'))[0] ?? '');
    appendFileSync(file, '["1764000000000","APP/PR');
    const again = await opened.reopen();
    await again.append(lines(2, { first: 3 }));
    expect((await again.read(all)).map(numberOf)).toEqual([0, 1, 2, 3, 4]);
  });

  test('a damaged row in the middle costs that row', async () => {
    await using opened = await openInTemporaryFolder();
    await opened.logs.append(lines(1));
    const file = join(opened.folder, 'app-1', readdirSync(join(opened.folder, 'app-1'))[0] ?? '');
    appendFileSync(file, 'not a row\n');
    const again = await opened.reopen();
    await again.append(lines(1, { first: 1 }));
    expect((await again.read(all)).map(numberOf)).toEqual([0, 1]);
  });

  test('restarts do not make more files', async () => {
    await using opened = await openInTemporaryFolder();
    await opened.logs.append(lines(1));
    for (let first = 1; first < 6; first++) {
      const again = await opened.reopen();
      await again.append(lines(1, { first }));
      await again.close();
    }
    expect(readdirSync(join(opened.folder, 'app-1'))).toHaveLength(1);
  });
});

describe('a write that fails', () => {
  test('append() does not throw, and the next that succeeds says how many lines were lost', async () => {
    await using opened = await openInTemporaryFolder();
    const told: string[] = [];
    opened.logs.follow('app-1', said => told.push(...said.map(({ line }) => line)));
    const inTheWay = join(opened.folder, 'app-1');
    writeFileSync(inTheWay, 'a file where the folder should be');
    await opened.logs.append(lines(3));
    rmSync(inTheWay);
    await opened.logs.append(lines(2, { first: 3 }));
    const [notice, ...kept] = await opened.logs.read(all);
    expect(notice?.line).toMatch(/^3 log lines were lost/);
    expect(kept.map(numberOf)).toEqual([3, 4]);
    expect(told.filter(line => line.includes('were lost'))).toHaveLength(1);
  });

  const mayMount = process.platform === 'linux' && process.getuid?.() === 0;
  test.skipIf(!mayMount)(
    'a full disk loses whole lines, counted: what was there and what follows can be read',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'cupola-logs-'));
      spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'cupola-test', folder]);
      try {
        const logs = openSegmentLogs({ folder });
        for (let first = 0; first < 3_000; first += 100) await logs.append(lines(100, { first }));
        const before = await logs.read(all);
        spawnSync('mount', ['-o', 'remount,size=1m', folder]);
        await logs.append(lines(1, { first: 3_000 }));
        const after = await logs.read(all);
        expect(after.slice(0, before.length)).toEqual(before);
        const lost = after.map(({ line }) => Number(/^(\d+) log lines were lost/.exec(line)?.[1] ?? 0));
        const kept = after.filter(({ sourceType }) => sourceType !== 'API');
        expect(lost.reduce((sum, count) => sum + count, kept.length)).toBe(3_001);
        expect(kept.length).toBeLessThan(2_000);
        expect(numberOf(after.at(-1) as LogLine)).toBe(3_000);
        await logs.close();
      } finally {
        spawnSync('umount', ['-l', folder]);
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});

/** Of this process alone: what others take of the machine says nothing of it. */
async function cpuMs(work: () => unknown): Promise<number> {
  const began = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1_000;
}

test('append() keeps up: 50,000 lines in batches of 100 take no more than some times what it takes to write them at all', async () => {
  await using opened = await openInTemporaryFolder({ maxBytesPerApp: 64 * 1024 * 1024 });
  const batch = lines(100);
  const plain = join(opened.folder, '..', `${basename(opened.folder)}-plain`);
  const toText = (line: LogLine): string => `${JSON.stringify({ ...line, timestampNs: String(line.timestampNs) })}\n`;
  const written = await cpuMs(() => {
    for (let at = 0; at < 500; at++) appendFileSync(plain, batch.map(toText).join(''));
  });
  rmSync(plain);
  const appended = await cpuMs(async () => {
    for (let at = 0; at < 500; at++) await opened.logs.append(batch);
  });
  // Three times on a quiet machine.
  expect(appended).toBeLessThan(15 * written);
});
