/** Lines of the platform in an app's own log: `[API/0]`, in Cloud Controller's words (CF: app_event_repository.rb, process_event_repository.rb). */
import type { ApiDeps } from '../deps.ts';

/** Never fails a request: a log that is full or away is the log's own affair. */
export async function logApi(deps: Pick<ApiDeps, 'logs' | 'now'>, appGuid: string, ...lines: string[]): Promise<void> {
  if (lines.length === 0) return;
  const timestampNs = BigInt(deps.now()) * 1_000_000n;
  await deps.logs.append(
    lines
      .flatMap(line => line.split(/\r?\n/))
      .map(line => ({ appGuid, sourceType: 'API', instanceId: '0', type: 'OUT', timestampNs, line })),
  );
}

/** A value as Cloud Controller's log lines show it: `{"state"=>"STARTED", "memory"=>nil}`. */
export function rubyText(value: unknown): string {
  if (value === null || value === undefined) return 'nil';
  if (Array.isArray(value)) return `[${value.map(rubyText).join(', ')}]`;
  if (typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}=>${rubyText(item)}`)
    .join(', ')}}`;
}

/** What stands for a value that only its owner may see: in events, in log lines. */
export const HIDDEN = '[PRIVATE DATA HIDDEN]';
