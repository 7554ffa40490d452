/**
 * Fixes what an app runs: a new immutable run spec for each of its processes, from the droplet, environment and settings of this moment. Called by start,
 * restart and deployments alone, so that `set-env`, `scale -m` or a new health check change nothing that runs until the user asks for it, and a crash restart runs
 * what crashed (foundations.md 1).
 */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import type { HealthCheck, ImageConfig, Layer, RunSpec } from '@cupola/model/run-spec';
import type { HealthCheckType } from '@cupola/model/states';
import type { Database, ProcessesTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import type { ApiDeps } from '../deps.ts';
import { findDevelopment } from '../development/development-apps.ts';
import { groupEgress } from '../security-groups/group-egress.ts';
import { type BoundServices, boundServices } from '../services/vcap-services.ts';
import { type SidecarRow, sidecarsOf, typesOf } from '../sidecars/change-sidecar.ts';
import { type AppPlace, processFacts, taskFacts } from './vcap-application.ts';

/** What an app listens on: PORT (CF's default; the agent says which host port leads there). */
export const APP_PORT = 8_080;
/** Specs of former runs are kept at least this long: a placement decided a moment ago may still name one. */
const SPEC_KEPT_MS = 3_600_000;
/** CF's launcher says the like of a droplet that names no command. */
const NO_COMMAND =
  "echo 'No start command: neither the droplet nor the manifest has one for this process. Push with -c COMMAND, or with a Procfile.' >&2; exit 1";

type Process = Selectable<ProcessesTable>;

type FixDeps = Pick<ApiDeps, 'sealer' | 'config'>;

interface FixOptions {
  /** `unfixed`: just the processes that never ran (an app that is STARTED got a new process type); all when not given. */
  only?: 'all' | 'unfixed';
  /** What is current from now on; null where the app has no revisions. Without a word each process keeps what it has. */
  revisionGuid?: string | null;
}

/** @throws UnprocessableError when the app has no staged droplet. */
export async function fixRunSpecs(
  mutation: Mutation,
  deps: FixDeps,
  appGuid: string,
  { only = 'all', revisionGuid }: FixOptions = {},
): Promise<void> {
  const { db, now, changed } = mutation;
  const fix = await openSpecs(mutation, deps, appGuid);
  const processes = await db.selectFrom('processes').selectAll().where('app_guid', '=', appGuid).execute();
  for (const process of processes) {
    if (only === 'unfixed' && process.run_spec_guid !== null) continue;
    const guid = await fix.process(process);
    await db
      .updateTable('processes')
      .set({ run_spec_guid: guid, start_sequence: process.start_sequence + 1, planned_at: now, updated_at: now })
      .$if(revisionGuid !== undefined, query => query.set({ revision_guid: revisionGuid ?? null }))
      .where('guid', '=', process.guid)
      .execute();
    changed('process', process.guid, { organizationGuid: fix.app.organization_guid, spaceGuid: fix.app.space_guid });
    await forgetOldSpecs(db, process, { current: guid, now });
  }
}

export interface TaskFacts {
  guid: string;
  name: string;
  command: string;
  memory_mb: number;
  disk_mb: number;
  log_rate_limit_bytes: number;
}

export interface Specs {
  app: AppPlace;
  /** Writes the run spec of this process as it is set now, and answers its guid. Nothing that runs changes by it. */
  process(process: Process): Promise<string>;
  /** The same of a task. */
  task(task: TaskFacts): Promise<string>;
}

/**
 * What all specs of an app share at this moment, read once.
 * @param dropletGuid the app's current one when not given.
 * @throws UnprocessableError when that is not staged.
 */
export async function openSpecs(
  { db, now }: Mutation,
  deps: FixDeps,
  appGuid: string,
  dropletGuid?: string,
): Promise<Specs> {
  const app = await readApp(db, appGuid);
  const droplet = await stagedDroplet(db, dropletGuid ?? app.current_droplet_guid);
  const given = await givenVariables(db, deps, app.environment_sealed);
  const uris = await urisByProcessType(db, appGuid);
  const { syslogDrains, ...bound } = await boundServices(db, deps.sealer, appGuid);
  const { publicUrl: apiUrl } = deps.config;
  const sidecars = await sidecarsOf(db, appGuid);
  // Of an image nobody has the files.
  const isDevelopment = droplet.image_config_json === null && (await findDevelopment(db, appGuid)) !== undefined;
  // Tasks have those of running apps, as in CF (task_recipe_builder.rb).
  const egress = await groupEgress(db, app.space_guid, 'running');
  const write = async (spec: RunSpec): Promise<string> => {
    await db
      .insertInto('run_specs')
      .values({
        guid: spec.guid,
        app_guid: appGuid,
        process_guid: spec.processGuid,
        droplet_guid: droplet.guid,
        memory_mb: spec.memoryMb,
        disk_mb: spec.diskMb,
        stack: droplet.stack,
        spec_sealed: deps.sealer.seal(JSON.stringify(spec)),
        created_at: now,
      })
      .execute();
    return spec.guid;
  };
  return {
    app,
    process: async process => {
      const guid = randomUUID();
      const facts = processFacts(app, process, { apiUrl, uris: uris.get(process.type) ?? [], version: guid });
      const environment = environmentOf(given, { facts, ...bound }, process);
      const own = sidecars.filter(sidecar => typesOf(sidecar).includes(process.type));
      const spec = makeSpec({ guid, app, process, droplet }, environment);
      return write({
        ...spec,
        syslogDrains,
        egress,
        ...(own.length === 0 ? {} : withSidecars(spec, own)),
        ...(isDevelopment ? { development: true } : {}),
      });
    },
    task: async task => {
      const guid = randomUUID();
      const facts = taskFacts(app, task, { apiUrl, uris: uris.get('web') ?? [], version: guid });
      const environment = environmentOf(given, { facts, ...bound }, task);
      return write({
        ...makeSpec({ guid, app, process: { ...TASK, ...task }, droplet }, environment),
        syslogDrains,
        egress,
        taskName: task.name,
      });
    },
  };
}

/** What sidecars were promised of the memory is not the command's (CF: main_lrp_action_builder.rb). */
function withSidecars(spec: RunSpec, sidecars: readonly SidecarRow[]): Partial<RunSpec> {
  const promisedMb = sidecars.reduce((sum, { memory_mb }) => sum + (memory_mb ?? 0), 0);
  return {
    environment: { ...spec.environment, MEMORY_LIMIT: `${Math.max(1, spec.memoryMb - promisedMb)}m` },
    sidecars: sidecars.map(({ name, command, memory_mb }) => ({ name, command, memoryMb: memory_mb })),
  };
}

/** What a task is as a process: alive while its command runs, and asked for nothing more. */
const TASK = {
  type: 'task',
  detected_command: null,
  health_check_type: 'process',
  health_check_endpoint: null,
  health_check_timeout_s: null,
  health_check_invocation_timeout_s: null,
  health_check_interval_s: null,
  readiness_type: 'process',
  readiness_endpoint: null,
  readiness_invocation_timeout_s: null,
  readiness_interval_s: null,
} as const;

async function stagedDroplet(db: Kysely<Database>, guid: string | null): Promise<SpecParts['droplet']> {
  const droplet =
    guid === null
      ? undefined
      : await db
          .selectFrom('droplets')
          .select(['guid', 'layers_json', 'stack', 'state', 'image_config_json'])
          .where('guid', '=', guid)
          .executeTakeFirst();
  if (droplet === undefined || droplet.state !== 'STAGED')
    throw new UnprocessableError('Assign a droplet before starting this app.');
  return droplet;
}

/** Of all running apps, and over them the app's own. */
async function givenVariables(
  db: Kysely<Database>,
  { sealer }: Pick<ApiDeps, 'sealer'>,
  environmentSealed: string,
): Promise<Record<string, string>> {
  const group = await db
    .selectFrom('environment_groups')
    .select('variables_sealed')
    .where('name', '=', 'running')
    .executeTakeFirst();
  const open = (sealed: string): Record<string, string> => JSON.parse(sealer.open(sealed)) as Record<string, string>;
  return { ...(group === undefined ? {} : open(group.variables_sealed)), ...open(environmentSealed) };
}

async function readApp(
  db: Kysely<Database>,
  appGuid: string,
): Promise<AppPlace & { current_droplet_guid: string | null; environment_sealed: string }> {
  return db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .where('apps.guid', '=', appGuid)
    .select([
      'apps.guid',
      'apps.name',
      'apps.space_guid',
      'apps.current_droplet_guid',
      'apps.environment_sealed',
      'spaces.name as space_name',
      'organizations.guid as organization_guid',
      'organizations.name as organization_name',
    ])
    .executeTakeFirstOrThrow();
}

/** Host, domain and path of each route, by the process type it leads to. */
export async function urisByProcessType(db: Kysely<Database>, appGuid: string): Promise<Map<string, string[]>> {
  const rows = await db
    .selectFrom('route_destinations')
    .innerJoin('routes', 'routes.guid', 'route_destinations.route_guid')
    .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
    .where('route_destinations.app_guid', '=', appGuid)
    .select(['route_destinations.process_type', 'routes.host', 'routes.path', 'domains.name'])
    .orderBy('routes.created_at')
    .orderBy('routes.guid')
    .execute();
  const uris = new Map<string, string[]>();
  for (const { process_type, host, path, name } of rows) {
    const known = uris.get(process_type) ?? [];
    known.push(`${host === '' ? '' : `${host}.`}${name}${path}`);
    uris.set(process_type, known);
  }
  return uris;
}

/** What the platform says goes over what the user says; PORT, CF_INSTANCE_* and the like are the agent's, for each copy. */
function environmentOf(
  given: Record<string, string>,
  { facts, vcapServices, databaseUrl }: Omit<BoundServices, 'syslogDrains'> & { facts: Record<string, unknown> },
  process: { memory_mb: number },
): Record<string, string> {
  return {
    ...given,
    VCAP_APPLICATION: JSON.stringify(facts),
    VCAP_SERVICES: JSON.stringify(vcapServices),
    MEMORY_LIMIT: `${process.memory_mb}m`,
    ...(databaseUrl === null ? {} : { DATABASE_URL: databaseUrl }),
  };
}

type SpecProcess = Omit<
  Process,
  | 'app_guid'
  | 'created_at'
  | 'updated_at'
  | 'instances'
  | 'run_spec_guid'
  | 'start_sequence'
  | 'index_starts_json'
  | 'planned_at'
  | 'revision_guid'
>;

interface SpecParts {
  guid: string;
  app: AppPlace;
  process: SpecProcess;
  droplet: { guid: string; layers_json: string; stack: string; image_config_json: string | null };
}

function makeSpec({ guid, app, process, droplet }: SpecParts, environment: Record<string, string>): RunSpec {
  const image = droplet.image_config_json === null ? null : (JSON.parse(droplet.image_config_json) as ImageConfig);
  return {
    guid,
    appGuid: app.guid,
    processGuid: process.guid,
    processType: process.type,
    appName: app.name,
    spaceGuid: app.space_guid,
    spaceName: app.space_name,
    organizationGuid: app.organization_guid,
    organizationName: app.organization_name,
    dropletGuid: droplet.guid,
    layers: JSON.parse(droplet.layers_json) as Layer[],
    command: image === null ? commandOf(process) : imageCommand(process, image),
    environment,
    memoryMb: process.memory_mb,
    diskMb: process.disk_mb,
    logRateBytesPerSecond: process.log_rate_limit_bytes,
    healthCheck: healthCheck(process.health_check_type, {
      endpoint: process.health_check_endpoint,
      timeoutS: process.health_check_timeout_s,
      invocationTimeoutS: process.health_check_invocation_timeout_s,
      intervalS: process.health_check_interval_s,
    }),
    readinessHealthCheck: healthCheck(process.readiness_type, {
      endpoint: process.readiness_endpoint,
      timeoutS: null,
      invocationTimeoutS: process.readiness_invocation_timeout_s,
      intervalS: process.readiness_interval_s,
    }),
    stack: droplet.stack,
    // As CF's Cloud Controller: what an image exposes, in its order (desired_lrp_builder.rb).
    ports: image === null || image.ports.length === 0 ? [APP_PORT] : image.ports,
    ...(image === null ? {} : { image }),
  };
}

/** The user's alone: what is detected are the image's own words, joined for people, and they are run as they are. */
function imageCommand({ command }: SpecProcess, image: ImageConfig): string {
  const chosen = command?.trim() ?? '';
  return chosen === '' && image.entrypoint.length + image.command.length === 0 ? NO_COMMAND : chosen;
}

function commandOf({ command, detected_command }: SpecProcess): string {
  const chosen = command ?? detected_command ?? '';
  return chosen.trim() === '' ? NO_COMMAND : chosen;
}

interface CheckSettings {
  endpoint: string | null;
  timeoutS: number | null;
  invocationTimeoutS: number | null;
  intervalS: number | null;
}
function healthCheck(type: HealthCheckType, settings: CheckSettings): HealthCheck {
  const ms = (seconds: number | null): number | null => (seconds === null ? null : seconds * 1_000);
  return {
    type,
    endpoint: type === 'http' ? (settings.endpoint ?? '/') : null,
    timeoutMs: ms(settings.timeoutS),
    invocationTimeoutMs: ms(settings.invocationTimeoutS),
    intervalMs: ms(settings.intervalS),
  };
}

/** Nothing points to them any more: no placement, no copy that is still stopping, no deployment that will make it what runs. */
async function forgetOldSpecs(
  db: Kysely<Database>,
  { guid: processGuid, app_guid }: Process,
  { current, now }: { current: string; now: number },
): Promise<void> {
  const deployment = await db
    .selectFrom('deployments')
    .select('guid')
    .where('app_guid', '=', app_guid)
    .where('status_value', '=', 'ACTIVE')
    .executeTakeFirst();
  if (deployment !== undefined) return;
  await db
    .deleteFrom('run_specs')
    .where('process_guid', '=', processGuid)
    .where('guid', '!=', current)
    .where('created_at', '<', now - SPEC_KEPT_MS)
    .where(
      'guid',
      'not in',
      db.selectFrom('placements').select('run_spec_guid').where('process_guid', '=', processGuid),
    )
    .where('guid', 'not in', db.selectFrom('copies').select('run_spec_guid').where('process_guid', '=', processGuid))
    .execute();
}
