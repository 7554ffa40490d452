/**
 * Why a staging or a start failed, from what an API tells: Cupola's says the cause; of another Cloud Foundry, which gives no codes, as far as its words and
 * the app's log tell. The CLI and the dashboard say the same of the same state. Pure: who calls has read events and log.
 */
import { type Cause, readCode } from '@cupola/model/causes';
import { crashCause } from '@cupola/model/crash-cause';
import { stagingCause } from '@cupola/model/staging-cause';
import { waitingCause } from '@cupola/model/waiting-reasons';
import type { z } from 'zod';
import { type CauseFacts, type Explanation, explainCause } from './causes.ts';
import type { ReadProcess, ReadStats, readAuditEvent } from './v3/client-reads.ts';

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
  const buildpack = /\bwith -b (\w+)/.exec(text)?.[1];
  return { text, explained: explainCause({ code: cause.code, evidence }, { app, memoryMb, buildpack }) };
}

export interface StartFacts {
  readonly app: string;
  readonly process: Pick<ReadProcess, 'memory_in_mb' | 'disk_in_mb'>;
  readonly instances: ReadStats['resources'];
  /** The app's newest crash event; null when there is none, or it cannot be read. */
  readonly event: z.infer<typeof readAuditEvent> | null;
  /** What the process printed last. */
  readonly lines: readonly string[];
}

/** Why an instance of the process does not run: what happened, in the platform's words, and the cause. `waits`: it has no place, so it printed nothing. */
export function explainStart({ app, process, instances, event, lines }: StartFacts): {
  reason: string;
  explained: Explanation;
  waits: boolean;
} {
  const facts: CauseFacts = { app, memoryMb: process.memory_in_mb, diskMb: process.disk_in_mb };
  const details = instances.find(one => one.details)?.details ?? null;
  const waits = details === null ? null : waitingCause(details);
  if (waits !== null)
    return { reason: waits.evidence ?? '', explained: explainCause({ ...waits, evidence: null }, facts), waits: true };
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
  const reason = text === '' ? 'it ended without a reason' : text;
  return { reason, explained: { ...explained, evidence }, waits: false };
}

/** From Diego's words (`Instance never healthy after 1m0s: ...`) and the log: other platforms say no more. */
function guess(text: string, lines: readonly string[], { memory_in_mb }: StartFacts['process']): Cause {
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
    lastLines: lines,
  });
}
