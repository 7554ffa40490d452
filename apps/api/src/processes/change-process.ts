/** Changes of one process that the API and manifests share: its settings, its size, its making. Each runs inside a mutation. */
import { UnprocessableError } from '@cupola/model/errors';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { HealthCheckType } from '@cupola/model/states';
import type { Database, ProcessesTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Insertable, Kysely, Selectable } from 'kysely';
import type { ScopedApp } from '../apps/find-app.ts';
import { refuseInFlight } from '../deployments/in-flight.ts';
import { recordScale } from '../usage-events/record-usage.ts';

type Process = Selectable<ProcessesTable>;

/** What PATCH and manifests may set; a key that is not there stays, null resets. */
export interface ProcessSettings {
  command?: string | null;
  healthCheckType?: HealthCheckType;
  healthCheckEndpoint?: string | null;
  healthCheckTimeoutS?: number | null;
  healthCheckInvocationTimeoutS?: number | null;
  healthCheckIntervalS?: number | null;
  readinessType?: HealthCheckType;
  readinessEndpoint?: string | null;
  readinessInvocationTimeoutS?: number | null;
  readinessIntervalS?: number | null;
}
export interface ProcessSize {
  instances?: number | null;
  memoryMb?: number | null;
  diskMb?: number | null;
  logRateBytes?: number | null;
}

const START_TIMEOUT_MAX_S = INSTANCE_LIMITS.startTimeoutMaxMs / 1_000;

/** A web process has one instance, checked by its port; other types none until they are scaled, checked by their being alive (CF). */
export async function createProcess(
  { db, now, changed }: Mutation,
  app: ScopedApp,
  process: { guid: string; type: string } & Partial<Pick<Process, 'command' | 'detected_command'>>,
): Promise<Process> {
  const isWeb = process.type === 'web';
  const row: Insertable<ProcessesTable> = {
    guid: process.guid,
    created_at: now,
    updated_at: now,
    app_guid: app.guid,
    type: process.type,
    instances: isWeb ? 1 : 0,
    memory_mb: INSTANCE_LIMITS.memoryDefaultMb,
    disk_mb: INSTANCE_LIMITS.diskDefaultMb,
    log_rate_limit_bytes: INSTANCE_LIMITS.logRateBytesPerSecond,
    command: process.command ?? null,
    detected_command: process.detected_command ?? null,
    health_check_type: isWeb ? 'port' : 'process',
    health_check_endpoint: null,
    health_check_timeout_s: null,
    health_check_invocation_timeout_s: null,
    health_check_interval_s: null,
    readiness_type: 'process',
    readiness_endpoint: null,
    readiness_invocation_timeout_s: null,
    readiness_interval_s: null,
    run_spec_guid: null,
    start_sequence: 0,
    index_starts_json: '{}',
    planned_at: null,
    revision_guid: null,
  };
  const made = await db.insertInto('processes').values(row).returningAll().executeTakeFirstOrThrow();
  changed('process', made.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return made;
}

/** Takes effect at the next start, as in CF. */
export async function updateProcessSettings(
  { db, now, changed }: Mutation,
  { app, process, settings }: { app: ScopedApp; process: Process; settings: ProcessSettings },
): Promise<Process> {
  const type = settings.healthCheckType ?? process.health_check_type;
  const readiness = settings.readinessType ?? process.readiness_type;
  const row = {
    command: pick(settings.command, process.command),
    health_check_type: type,
    health_check_endpoint: type === 'http' ? pick(settings.healthCheckEndpoint, process.health_check_endpoint) : null,
    health_check_timeout_s: pick(settings.healthCheckTimeoutS, process.health_check_timeout_s),
    health_check_invocation_timeout_s: pick(
      settings.healthCheckInvocationTimeoutS,
      process.health_check_invocation_timeout_s,
    ),
    health_check_interval_s: pick(settings.healthCheckIntervalS, process.health_check_interval_s),
    readiness_type: readiness,
    readiness_endpoint: readiness === 'http' ? pick(settings.readinessEndpoint, process.readiness_endpoint) : null,
    readiness_invocation_timeout_s: pick(settings.readinessInvocationTimeoutS, process.readiness_invocation_timeout_s),
    readiness_interval_s: pick(settings.readinessIntervalS, process.readiness_interval_s),
  };
  if (row.health_check_timeout_s !== null && row.health_check_timeout_s > START_TIMEOUT_MAX_S)
    throw new UnprocessableError(`health_check_timeout Maximum exceeded: max ${START_TIMEOUT_MAX_S}s`);
  // CF makes http without an endpoint an error; the CLI sends the type alone where the endpoint is to be `/`.
  if (row.health_check_type === 'http') row.health_check_endpoint ??= '/';
  if (row.readiness_type === 'http') row.readiness_endpoint ??= '/';
  if (differs(process, row)) await refuseInFlight(db, process, 'update');
  const updated = await db
    .updateTable('processes')
    .set({ ...row, updated_at: now })
    .where('guid', '=', process.guid)
    .returningAll()
    .executeTakeFirstOrThrow();
  changed('process', process.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return updated;
}

/** Instances count at once; memory, disk and log rate at the next start (`cf scale -m` stops and starts). Quotas are the caller's to check. */
export async function scaleProcess(
  mutation: Mutation,
  { app, process, size }: { app: ScopedApp; process: Process; size: ProcessSize },
): Promise<Process> {
  const { db, now, changed } = mutation;
  const row = {
    instances: size.instances ?? process.instances,
    memory_mb: size.memoryMb ?? process.memory_mb,
    disk_mb: size.diskMb ?? process.disk_mb,
    log_rate_limit_bytes: size.logRateBytes ?? process.log_rate_limit_bytes,
  };
  checkDisk(row.disk_mb);
  if (differs(process, row)) await refuseInFlight(db, process, 'scale');
  const updated = await db
    .updateTable('processes')
    .set({ ...row, planned_at: now, updated_at: now })
    .where('guid', '=', process.guid)
    .returningAll()
    .executeTakeFirstOrThrow();
  await recordScale(mutation, app, { process: updated, previous: process });
  changed('process', process.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return updated;
}

/** @throws UnprocessableError for more disk than an instance may have. */
export function checkDisk(diskMb: number): void {
  if (diskMb > INSTANCE_LIMITS.diskMaxMb)
    throw new UnprocessableError(
      `disk_quota too much disk requested (requested ${diskMb} MB - must be less than ${INSTANCE_LIMITS.diskMaxMb} MB)`,
    );
}

function differs(process: Process, row: Partial<Process>): boolean {
  return (Object.keys(row) as Array<keyof Process>).some(column => row[column] !== process[column]);
}

/** The newest of a type: a rolling deployment makes a second `web` (foundations.md 1). */
export async function processOfType(db: Kysely<Database>, appGuid: string, type: string): Promise<Process | undefined> {
  return db
    .selectFrom('processes')
    .selectAll()
    .where('app_guid', '=', appGuid)
    .where('type', '=', type)
    .orderBy('created_at', 'desc')
    .orderBy('guid', 'desc')
    .executeTakeFirst();
}

function pick<T>(given: T | undefined, present: T): T {
  return given === undefined ? present : given;
}
