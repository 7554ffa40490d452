/**
 * A batch of one app's lines as one entry of its stream. Its id is the time of its last line: MS-NS. Times are made unique and rising by Redis, whoever
 * writes: `floor` is the app's newest time before the batch, plus one; a line's time is what it claims, or what its place behind the floor makes it.
 */
import { claimedNs } from '../claimed-time.ts';
import type { LogLine } from '../log-store.ts';
import { decodeRow, encodeRow } from '../row.ts';

const NS_PER_MS = 1_000_000n;
/** A batch goes in pieces of so much: the budget is spent in such pieces, and Redis serves others between two of them. */
const ENTRY_BYTES = 64 * 1024;

export const idOf = (timeNs: bigint): string => `${timeNs / NS_PER_MS}-${timeNs % NS_PER_MS}`;

export function timeOf(id: string): bigint {
  const [ms = '0', ns = '0'] = id.split('-');
  return BigInt(ms) * NS_PER_MS + BigInt(ns);
}

/** What is sent to be written. */
export interface Batch {
  count: number;
  lastId: string;
  rows: string;
}

export interface Entry {
  floorNs: bigint;
  lastNs: bigint;
  lines: LogLine[];
}

/** Claimed times are made rising within the lines, so that the last one's is the greatest. */
export function encodeBatches(lines: readonly LogLine[], nowMs: number): Batch[] {
  const batches: Batch[] = [];
  let batch: Batch | undefined;
  let newestNs = -1n;
  for (const line of lines) {
    const claimed = claimedNs(line, nowMs);
    newestNs = claimed > newestNs ? claimed : newestNs + 1n;
    if (batch === undefined || batch.rows.length >= ENTRY_BYTES) {
      batch = { count: 0, lastId: '', rows: '' };
      batches.push(batch);
    }
    batch.count++;
    batch.lastId = idOf(newestNs);
    batch.rows += encodeRow({ ...line, timestampNs: newestNs });
  }
  return batches;
}

export function decodeEntry(appGuid: string, { id, floor, rows }: { id: string; floor: string; rows: string }): Entry {
  const floorNs = timeOf(floor);
  const lines: LogLine[] = [];
  for (const [at, row] of rows.split('\n').slice(0, -1).entries()) {
    const line = decodeRow(row, appGuid);
    if (line === null) continue;
    const least = floorNs + BigInt(at);
    lines.push(line.timestampNs > least ? line : { ...line, timestampNs: least });
  }
  return { floorNs, lastNs: timeOf(id), lines };
}

/** @param reply of XRANGE and the like: id, and names and values of its fields. */
export function readEntry(appGuid: string, [id, fields]: [id: string, fields: string[]]): Entry {
  const field = (name: string): string => fields[fields.indexOf(name) + 1] ?? '';
  return decodeEntry(appGuid, { id, floor: field('f'), rows: field('r') });
}
