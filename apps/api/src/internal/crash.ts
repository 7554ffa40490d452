/** A crash, as its owner finds it: an audit event in the transaction of the report (CF: app.crash, audit.app.process.crash), and lines in the app's log. */
import { randomUUID } from 'node:crypto';
import type { CopyReport } from '@cupola/contract/internal';
import type { Mutation } from '@cupola/store/store';
import { logApi, rubyText } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';

export interface Crash {
  copy: CopyReport;
  cellId: string;
  scope: { organizationGuid: string; spaceGuid: string };
}

export async function recordCrash({ db, now }: Mutation, crash: Crash): Promise<void> {
  const { copy, scope } = crash;
  const [app, process] = await Promise.all([
    db.selectFrom('apps').select('name').where('guid', '=', copy.appGuid).executeTakeFirst(),
    db.selectFrom('processes').select('type').where('guid', '=', copy.processGuid).executeTakeFirst(),
  ]);
  const common = {
    created_at: now,
    space_guid: scope.spaceGuid,
    organization_guid: scope.organizationGuid,
    target_guid: copy.appGuid,
    target_type: 'app',
    target_name: app?.name ?? '',
    data_json: JSON.stringify(payloadOf(crash)),
  };
  await db
    .insertInto('audit_events')
    .values([
      {
        ...common,
        guid: randomUUID(),
        type: 'app.crash',
        actor_guid: copy.appGuid,
        actor_type: 'app',
        actor_name: app?.name ?? '',
      },
      {
        ...common,
        guid: randomUUID(),
        type: 'audit.app.process.crash',
        actor_guid: copy.processGuid,
        actor_type: 'process',
        actor_name: process?.type ?? '',
      },
    ])
    .execute();
}

export async function logCrash(deps: Pick<ApiDeps, 'logs' | 'now'>, crash: Crash): Promise<void> {
  await logApi(
    deps,
    crash.copy.appGuid,
    `App instance exited with guid ${crash.copy.appGuid} payload: ${rubyText(payloadOf(crash))}`,
  );
}

/** CF's keys, and ours behind them: the last lines, signal and code. */
function payloadOf({ copy, cellId }: Crash): Record<string, unknown> {
  return {
    instance: copy.guid,
    index: copy.index,
    cell_id: cellId,
    reason: 'CRASHED',
    exit_description: copy.exit?.reason ?? '',
    exit_status: copy.exit?.code ?? null,
    signal: copy.exit?.signal ?? null,
    crash_count: copy.crashCount,
    crash_timestamp: copy.sinceMs,
    version: copy.runSpecGuid,
    last_lines: copy.exit?.lastLines ?? [],
  };
}
