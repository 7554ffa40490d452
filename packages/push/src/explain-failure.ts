/**
 * Why a staging or a start failed, as Cupola's API says it; of another Cloud Foundry, which gives no codes, as far as its words and the app's log tell.
 */
import type { CloudClient } from '@cupola/client/cloud-client';
import { type ClientLogLine, recentLines } from '@cupola/client/logs';
import { type CauseFacts, type Explanation, explainCause } from '@cupola/contract/causes';
import { type ReadApp, type ReadProcess, type ReadStats, readAuditEvent } from '@cupola/contract/v3/client-reads';
import { type Cause, readCode } from '@cupola/model/causes';
import { crashCause } from '@cupola/model/crash-cause';
import { sentence } from '@cupola/model/sentence';
import { stagingCause } from '@cupola/model/staging-cause';
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

export function explainStaging(
  app: string,
  error: string,
  lines: readonly string[],
): { text: string; explained: Explanation } {
  const { text, code } = readCode(error);
  const [, title = '', said = text] = /^(\w+) - (.*)$/s.exec(text) ?? [];
  const read = stagingCause({ title, error: said, lines });
  const cause = code === null || code === read.code ? read : { code, evidence: null };
  // The sentence is printed already.
  const evidence = cause.evidence !== null && text.includes(cause.evidence) ? null : cause.evidence;
  const memoryMb = Number(/its limit is (\d+) MB/.exec(text)?.[1] ?? 0);
  return { text, explained: explainCause({ code: cause.code, evidence }, { app, memoryMb }) };
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
  const facts: CauseFacts = { app: app.name, memoryMb: process.memory_in_mb, diskMb: process.disk_in_mb };
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
  const details = instances.find(one => one.details)?.details ?? null;
  const waits = details === null ? null : waitingCause(details);
  if (waits !== null)
    return { reason: waits.evidence ?? '', explained: explainCause({ ...waits, evidence: null }, facts), lines: [] };
  // The instance's own word is of this start; the newest event may be of a former one.
  const ofNow = readCode(details ?? '');
  const said = ofNow.code === null ? (event?.data?.exit_description ?? details ?? event?.data?.reason ?? '') : details;
  const { text, code } = readCode(said ?? '');
  const told = event?.data?.cause ?? null;
  const cause =
    told !== null && (code === null || told.code === code)
      ? told
      : code === null
        ? guess(text, lines, process)
        : { code, evidence: null };
  const explained = explainCause(cause, facts);
  const evidence = explained.evidence !== null && text.includes(explained.evidence) ? null : explained.evidence;
  return { reason: text === '' ? 'it ended without a reason' : text, explained: { ...explained, evidence }, lines };
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

/** From Diego's words (`Instance never healthy after 1m0s: ...`) and the log: other platforms say no more. */
function guess(text: string, lines: readonly ClientLogLine[], { memory_in_mb }: ReadProcess): Cause {
  const status = /Exited with status (\d+)/.exec(text)?.[1];
  const isHealth = /never healthy|health check|became unhealthy|failed to make TCP connection/i.test(text);
  return crashCause({
    code: status === undefined ? null : Number(status),
    signal: null,
    outOfMemory: /out of memory/i.test(text),
    lost: false,
    unhealthy: isHealth
      ? {
          found: text,
          isStart: /never healthy|timed out/i.test(text),
          isPathAtFault: /HTTP request|status code/i.test(text),
          listening: [],
          port: 0,
          loopbackCounts: false,
        }
      : null,
    wasRunning: false,
    memoryMb: memory_in_mb,
    lastLines: lines.map(line => line.text),
  });
}
