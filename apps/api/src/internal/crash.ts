/** A crash, as its owner finds it: audit events in the transaction of the report, and lines in the app's log, with CF's types, keys and words (CF: app_event_repository.rb, process_event_repository.rb). */
import { describeExit } from '@cupola/contract/causes';
import type { CopyReport } from '@cupola/contract/internal';
import type { Mutation } from '@cupola/store/store';
import { logApi, rubyText } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { insertEvents } from '../events/record.ts';
import { processOf } from './process-of.ts';

export interface Crash {
  copy: CopyReport;
  cellId: string;
  processType: string;
}

/** Null for an app that is gone: there is nobody to tell. */
export async function recordCrash(
  mutation: Mutation,
  { copy, cellId }: { copy: CopyReport; cellId: string },
): Promise<Crash | null> {
  const found = await processOf(mutation.db, copy);
  if (found === null) return null;
  const crash: Crash = { copy, cellId, processType: found.type };
  const about = { ...found.about, data_json: JSON.stringify({ ...payloadOf(crash), ...detailsOf(crash) }) };
  const app = { actor_guid: copy.appGuid, actor_type: 'app', actor_name: found.about.target_name };
  await insertEvents(mutation, [
    { ...about, ...found.actor, type: 'audit.app.process.crash' },
    { ...about, ...app, type: 'app.crash' },
  ]);
  return crash;
}

export async function logCrash(deps: Pick<ApiDeps, 'logs' | 'now'>, crash: Crash): Promise<void> {
  const { appGuid } = crash.copy;
  await logApi(
    deps,
    appGuid,
    `Process has crashed with type: "${crash.processType}"`,
    `App instance exited with guid ${appGuid} payload: ${rubyText(payloadOf(crash))}`,
  );
}

function payloadOf({ copy, cellId }: Crash): Record<string, unknown> {
  return {
    instance: copy.guid,
    index: copy.index,
    cell_id: cellId,
    reason: 'CRASHED',
    exit_description: copy.exit === null ? '' : describeExit(copy.exit),
    crash_count: copy.crashCount,
    crash_timestamp: copy.sinceMs * 1_000_000,
    version: copy.runSpecGuid,
  };
}

/** Ours, in the events alone (failure-rules.md section 2). */
function detailsOf({ copy }: Crash): Record<string, unknown> {
  const { exit } = copy;
  return {
    exit_status: exit?.code ?? null,
    exit_signal: exit?.signal ?? null,
    last_lines: exit?.lastLines ?? [],
    ...(exit?.cause === undefined ? {} : { cause: exit.cause }),
  };
}
