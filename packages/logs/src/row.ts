import type { LogLine } from './log-store.ts';

/** A line as it lies on disk: one JSON row. */
export function encodeRow(line: LogLine): string {
  const type = line.type === 'OUT' ? 0 : 1;
  return `${JSON.stringify([String(line.timestampNs), line.sourceType, line.instanceId, type, line.line])}\n`;
}

/** Null for an empty or damaged row. */
export function decodeRow(row: string, appGuid: string): LogLine | null {
  try {
    const [timestamp, sourceType, instanceId, type, line] = JSON.parse(row) as [string, string, string, number, string];
    return { appGuid, sourceType, instanceId, type: type === 0 ? 'OUT' : 'ERR', timestampNs: BigInt(timestamp), line };
  } catch {
    return null; // Torn by a kill or a full disk: what it said is lost, the rows around it are not.
  }
}
