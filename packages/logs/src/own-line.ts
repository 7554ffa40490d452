import type { LogLine } from './log-store.ts';

/** What the log store itself has to say in an app's log. */
export function ownLine(appGuid: string, timestampNs: bigint, line: string): LogLine {
  return { appGuid, sourceType: 'API', instanceId: '0', type: 'ERR', timestampNs, line };
}

export function droppedLine(appGuid: string, { timestampNs, count }: { timestampNs: bigint; count: number }): LogLine {
  return ownLine(appGuid, timestampNs, `${count} older log lines were dropped to keep within the space for logs`);
}
