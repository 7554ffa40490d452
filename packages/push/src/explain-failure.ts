/** Reads what tells why a staging or a start failed, and has it explained (`@cupola/contract/explain-failure`). */
import type { CloudClient } from '@cupola/client/cloud-client';
import { type ClientLogLine, recentLines } from '@cupola/client/logs';
import type { Explanation } from '@cupola/contract/causes';
import { explainStaging, explainStart } from '@cupola/contract/explain-failure';
import { type ReadApp, type ReadProcess, type ReadStats, readAuditEvent } from '@cupola/contract/v3/client-reads';
import { type Cause, readCode } from '@cupola/model/causes';
import { sentence } from '@cupola/model/sentence';
import { waitingCause } from '@cupola/model/waiting-reasons';
import { WordedError } from './failures.ts';
import { logLine } from './text.ts';

const LAST_LINES = 20;
const LOG_LINES = 200;

/** `error` as CF words it: `BuildpackCompileFailed - the reason`. */
export function stagingFailure(app: string, error: string, lines: readonly string[]): WordedError {
  const { text, explained } = explainStaging(app, error, lines);
  return new WordedError(`Staging of ${app} failed: ${text}`, { explained });
}

type Instances = ReadStats['resources'];

/** What waits for room may get it from what is just being stopped: not given up before (ours). */
const ROOM_PATIENCE_MS = 5_000;

/** Whether none of these instances will come up, by their state alone, after a wait of `waitedMs`. */
export function areHopeless(instances: Instances, waitedMs: number): boolean {
  if (instances.some(({ state }) => state === 'RUNNING')) return false;
  const cause = hopeless(instances);
  return cause !== null && (cause.code !== 'no-room' || waitedMs > ROOM_PATIENCE_MS);
}

/** The cause of an instance that does not run; null while it may still come up. */
function hopeless(instances: Instances): Cause | null {
  for (const { state, details } of instances) {
    if (!details) continue;
    const { code, text } = readCode(details);
    if (code !== null && state === 'STARTING' && ALWAYS_THE_SAME.has(code)) return { code, evidence: text };
    const waits = state === 'DOWN' ? waitingCause(details) : null;
    if (waits !== null) return waits;
  }
  return null;
}

/** Found out by a whole start timeout: another start of the same files finds the same. */
const ALWAYS_THE_SAME: ReadonlySet<string> = new Set([
  'wrong-port',
  'loopback-only',
  'start-too-slow',
  'health-path-fails',
]);

export interface StartTrouble {
  readonly reason: string;
  readonly explained: Explanation;
  /** What the app printed last. */
  readonly lines: readonly ClientLogLine[];
}

/** Why no instance of the process runs. */
export async function startTrouble(
  client: CloudClient,
  app: ReadApp,
  { process, instances }: { process: ReadProcess; instances: Instances },
): Promise<StartTrouble> {
  const source = `APP/PROC/${process.type.toUpperCase()}`;
  const [event, recent] = await Promise.all([
    client
      .first(readAuditEvent, '/v3/audit_events', {
        target_guids: app.guid,
        types: 'audit.app.process.crash',
        order_by: '-created_at',
      })
      .catch(() => null),
    recentLines(client, app.guid, LOG_LINES).catch(() => []), // Logs are a help here, not the matter.
  ]);
  const lines = recent.filter(({ sourceType }) => sourceType === source).slice(-LAST_LINES);
  const { reason, explained, waits } = explainStart({
    app: app.name,
    process,
    instances,
    event,
    lines: lines.map(line => line.text),
  });
  return { reason, explained, lines: waits ? [] : lines };
}

export function startFailure(
  app: ReadApp,
  process: ReadProcess,
  { reason, explained, lines }: StartTrouble,
): WordedError {
  return new WordedError(`${app.name} (${process.type}) does not run: ${explained.says}. ${sentence(reason)}`, {
    explained,
    details: lines.map(logLine),
  });
}
