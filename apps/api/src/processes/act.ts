/** Changing a process by request, inside a mutation: the change, its audit event, the line for the app's log (CF: process_update.rb, process_scale.rb, process_terminate.rb). */
import type { ScaleProcess, UpdateProcess } from '@cupola/contract/v3/process';
import { NotFoundError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { HIDDEN } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { writeMetadata } from '../metadata/metadata.ts';
import { fixRunSpecs } from '../run-specs/fix.ts';
import { type ProcessSettings, scaleProcess, updateProcessSettings } from './change-process.ts';
import { type FoundProcess, type ProcessPath, writableProcess } from './find-process.ts';
import { checkQuota, quotaUse } from './quota.ts';

/** What happened, for the answer and for the app's own log. */
export interface Acted extends FoundProcess {
  line: string;
}

interface By {
  actor: Actor;
  path: ProcessPath;
}

export async function update(mutation: Mutation, { actor, path }: By, body: UpdateProcess): Promise<Acted> {
  const { app, process: present } = await writableProcess(mutation.db, actor, path);
  const process = await updateProcessSettings(mutation, { app, process: present, settings: settingsOf(body) });
  await writeMetadata(mutation, 'process', process.guid, body.metadata);
  const request = { ...body, ...(body.command === undefined ? {} : { command: HIDDEN }) };
  const data = { process_guid: process.guid, process_type: process.type, request };
  await recordAppEvent(mutation, { actor, app, type: 'process.update', data });
  return { app, process, line: `Updating process: "${process.type}"` };
}

/** Only keys that were sent: null resets, what is not there stays. */
function settingsOf({ command, health_check: health, readiness_health_check: ready }: UpdateProcess): ProcessSettings {
  const given: { [Key in keyof ProcessSettings]: ProcessSettings[Key] | undefined } = {
    command,
    healthCheckType: health?.type,
    healthCheckEndpoint: health?.data?.endpoint,
    healthCheckTimeoutS: health?.data?.timeout,
    healthCheckInvocationTimeoutS: health?.data?.invocation_timeout,
    healthCheckIntervalS: health?.data?.interval,
    readinessType: ready?.type,
    readinessEndpoint: ready?.data?.endpoint,
    readinessInvocationTimeoutS: ready?.data?.invocation_timeout,
    readinessIntervalS: ready?.data?.interval,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

export async function scale(
  mutation: Mutation,
  deps: Pick<ApiDeps, 'sealer' | 'config'>,
  { actor, path }: By,
  body: ScaleProcess,
): Promise<Acted> {
  const { db } = mutation;
  const { app, process: present } = await writableProcess(db, actor, path);
  await requireFlag(db, actor, 'app_scaling');
  const before = await quotaUse(db, app.organization_guid);
  const size = {
    instances: body.instances ?? null,
    memoryMb: body.memory_in_mb ?? null,
    diskMb: body.disk_in_mb ?? null,
    logRateBytes: body.log_rate_limit_in_bytes_per_second ?? null,
  };
  const process = await scaleProcess(mutation, { app, process: present, size });
  // A type that came with a droplet after the app's start has never been fixed; now it is wanted.
  if (app.state === 'STARTED' && process.run_spec_guid === null)
    await fixRunSpecs(mutation, deps, app.guid, { only: 'unfixed' });
  await checkQuota(db, { organizationGuid: app.organization_guid, appGuid: app.guid, before });
  const data = { process_guid: process.guid, process_type: process.type, request: body };
  await recordAppEvent(mutation, { actor, app, type: 'process.scale', data });
  return { app, process, line: `Scaling process: "${process.type}"` };
}

/** The copy of this index is replaced by a new one. @throws NotFoundError for an index that is not wanted. */
export async function terminateInstance(mutation: Mutation, { actor, path }: By, indexText: string): Promise<Acted> {
  const { db, now, changed } = mutation;
  const { app, process } = await writableProcess(db, actor, path);
  const index = /^\d{1,9}$/.test(indexText) ? Number(indexText) : Number.NaN;
  if (!(index < process.instances)) throw new NotFoundError('Instance');
  const starts = JSON.parse(process.index_starts_json) as Record<string, number>;
  const grown = { ...starts, [index]: (starts[index] ?? 0) + 1 };
  await db
    .updateTable('processes')
    .set({ index_starts_json: JSON.stringify(grown), planned_at: now, updated_at: now })
    .where('guid', '=', process.guid)
    .execute();
  changed('process', process.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  const data = { process_guid: process.guid, process_type: process.type, process_index: index };
  await recordAppEvent(mutation, { actor, app, type: 'process.terminate_instance', data });
  return { app, process, line: `Terminating process: "${process.type}", index: "${index}"` };
}
