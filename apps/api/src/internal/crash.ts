/** A crash, as its owner finds it: audit events in the transaction of the report, and lines in the app's log, with CF's types, keys and words (CF: app_event_repository.rb, process_event_repository.rb). */
import { randomUUID } from 'node:crypto';
import { describeExit } from '@cupola/contract/causes';
import type { CopyReport } from '@cupola/contract/internal';
import type { Mutation } from '@cupola/store/store';
import { logApi, rubyText } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';

export interface Crash {
  copy: CopyReport;
  cellId: string;
  processType: string;
}

/** Null for an app that is gone: there is nobody to tell. */
export async function recordCrash(
  { db, now }: Mutation,
  { copy, cellId }: { copy: CopyReport; cellId: string },
): Promise<Crash | null> {
  const found = await db
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['processes.type', 'apps.name', 'apps.space_guid', 'spaces.organization_guid'])
    .where('processes.guid', '=', copy.processGuid)
    .executeTakeFirst();
  if (found === undefined) return null;
  const crash: Crash = { copy, cellId, processType: found.type };
  const about = {
    created_at: now,
    target_guid: copy.appGuid,
    target_type: 'app',
    target_name: found.name,
    space_guid: found.space_guid,
    organization_guid: found.organization_guid,
    data_json: JSON.stringify({ ...payloadOf(crash), ...detailsOf(crash) }),
  };
  const app = { actor_guid: copy.appGuid, actor_type: 'app', actor_name: found.name };
  const process = { actor_guid: copy.processGuid, actor_type: 'process', actor_name: found.type };
  await db
    .insertInto('audit_events')
    .values([
      { ...about, ...process, guid: randomUUID(), type: 'audit.app.process.crash' },
      { ...about, ...app, guid: randomUUID(), type: 'app.crash' },
    ])
    .execute();
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
