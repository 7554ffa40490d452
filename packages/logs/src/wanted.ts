import type { LogLine, LogQuery } from './log-store.ts';

/** Whether a line of the app is asked for. */
export function isWanted({ startNs, endNs, sourceTypes }: LogQuery, line: LogLine): boolean {
  if (startNs !== undefined && line.timestampNs < startNs) return false;
  if (endNs !== undefined && line.timestampNs >= endNs) return false;
  return (
    sourceTypes === undefined ||
    sourceTypes.some(type => (type.endsWith('/') ? line.sourceType.startsWith(type) : line.sourceType === type))
  );
}
