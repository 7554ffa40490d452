/**
 * What a readiness check has said anew, as the app's owner finds it, with CF's types, keys and words (CF: process_event_repository.rb, record_readiness_changed).
 * Of a process without such a check nothing is told: its copies are ready as soon as they run.
 */
import type { CopyReport } from '@cupola/contract/internal';
import type { Mutation } from '@cupola/store/store';
import { logApi, rubyText } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { insertEvents } from '../events/record.ts';
import { processOf } from './process-of.ts';

export interface ReadinessChange {
  copy: CopyReport;
  cellId: string;
}

/** Null where there is nobody to tell, or nothing. */
export async function recordReadiness(mutation: Mutation, change: ReadinessChange): Promise<ReadinessChange | null> {
  const found = await processOf(mutation.db, change.copy);
  if (found === null || found.readiness_type === 'process') return null;
  const type = `audit.app.process.${change.copy.routable ? 'ready' : 'not-ready'}`;
  await insertEvents(mutation, [
    { ...found.about, ...found.actor, type, data_json: JSON.stringify(payloadOf(change)) },
  ]);
  return change;
}

export async function logReadiness(deps: Pick<ApiDeps, 'logs' | 'now'>, change: ReadinessChange): Promise<void> {
  const { appGuid, processGuid, routable } = change.copy;
  const became = routable ? 'ready' : 'not ready';
  await logApi(
    deps,
    appGuid,
    `Process became ${became} with guid ${processGuid} payload: ${rubyText(payloadOf(change))}`,
  );
}

function payloadOf({ copy, cellId }: ReadinessChange): Record<string, unknown> {
  return {
    instance: copy.guid,
    index: copy.index,
    cell_id: cellId,
    ready: copy.routable,
    version: copy.runSpecGuid,
  };
}
