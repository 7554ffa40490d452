/**
 * Logs as segment files, a batch in one write, never fsynced (app-segments.ts has the format). Lossy under two budgets, of each app and of all together:
 * the oldest segment goes, over the whole budget that of the app with the most, so that a loud app does not push out what a quiet one has said.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { assertAppGuid, isAppGuid } from './app-guid.ts';
import { type AppLog, appLog } from './app-log.ts';
import { appSegments } from './app-segments.ts';
import type { LogLine, LogStore } from './log-store.ts';
import { tellAll } from './tell-all.ts';

const MIB = 1024 * 1024;
/** A budget is spent in so many segments: what is dropped at once is that part of it. */
const SEGMENTS_PER_APP = 8;

export interface SegmentLogsOptions {
  folder: string;
  /** 4 MiB when not given: some 30,000 lines. */
  maxBytesPerApp?: number;
  /** 1 GiB when not given. */
  maxBytesTotal?: number;
  /** Epoch ms. */
  now?: () => number;
}

/** Opens a folder of logs, made when missing. One process at a time. */
export function openSegmentLogs(options: SegmentLogsOptions): LogStore {
  const { folder, maxBytesPerApp = 4 * MIB, maxBytesTotal = 1024 * MIB, now = Date.now } = options;
  mkdirSync(folder, { recursive: true });
  const apps = new Map<string, AppLog>();
  const followers = new Map<string, Set<(lines: readonly LogLine[]) => void>>();
  let makingRoom: Promise<void> | null = null;
  const segmentBytes = Math.ceil(maxBytesPerApp / SEGMENTS_PER_APP);
  const open = (appGuid: string): AppLog => {
    const segments = appSegments({ appGuid, folder: join(folder, appGuid), segmentBytes });
    return appLog({ appGuid, segments, maxBytes: maxBytesPerApp, now });
  };
  for (const appGuid of readdirSync(folder).filter(isAppGuid)) apps.set(appGuid, open(appGuid));

  async function makeRoom(): Promise<void> {
    for (;;) {
      const logs = [...apps.values()];
      if (logs.reduce((sum, { bytes }) => sum + bytes, 0) <= maxBytesTotal) return;
      await logs.reduce((most, log) => (log.bytes > most.bytes ? log : most)).dropOldest();
    }
  }

  async function appendTo(appGuid: string, lines: readonly LogLine[]): Promise<void> {
    assertAppGuid(appGuid);
    const log = apps.get(appGuid) ?? open(appGuid);
    apps.set(appGuid, log);
    const stamped = await log.append(lines);
    tellAll(followers.get(appGuid), stamped);
  }

  return {
    append: async lines => {
      const byApp = Map.groupBy(lines, line => line.appGuid);
      await Promise.all([...byApp].map(([appGuid, its]) => appendTo(appGuid, its)));
      makingRoom ??= makeRoom().finally(() => {
        makingRoom = null;
      });
      await makingRoom;
    },
    read: async query => (await apps.get(query.appGuid)?.read(query)) ?? [],
    follow: (appGuid, listener) => {
      const set = followers.get(appGuid) ?? new Set();
      followers.set(appGuid, set.add(listener));
      return () => {
        set.delete(listener);
        if (set.size === 0 && followers.get(appGuid) === set) followers.delete(appGuid);
      };
    },
    remove: async appGuid => {
      const log = apps.get(appGuid);
      if (log === undefined) return;
      await log.remove();
      if (log.isIdle && apps.get(appGuid) === log) apps.delete(appGuid); // Else a line came meanwhile, and is kept.
    },
    close: async () => {
      await Promise.all([...apps.values()].map(log => log.settled()));
    },
  };
}
