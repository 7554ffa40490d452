/**
 * Builders that insert one row with good defaults and return it. What a row needs above it (an app's space, its
 * organization) is made too unless its guid is given: `await aProcess(store, { instances: 3 })`. For tests of any workspace.
 */
import { randomUUID } from 'node:crypto';
import { type InsertObject, type RawBuilder, sql } from 'kysely';
import type {
  AppsTable,
  BuildsTable,
  CellsTable,
  ChangeKind,
  CopiesTable,
  Database,
  DeploymentsTable,
  DomainsTable,
  DropletsTable,
  OrganizationQuotasTable,
  OrganizationsTable,
  PackagesTable,
  PlacementsTable,
  ProcessesTable,
  RevisionsTable,
  RolesTable,
  RouteDestinationsTable,
  RoutesTable,
  RunSpecsTable,
  ServiceBindingsTable,
  ServiceInstancesTable,
  SidecarsTable,
  SpacesTable,
  TasksTable,
  UsersTable,
} from './schema.ts';
import { aesSealer, type Sealer } from './seal.ts';
import type { ChangeScope, Store } from './store.ts';

/** The sealer of every fixture: what the builders seal, a test's handlers can open. */
export const testSealer: Sealer = aesSealer(new Map([['test', Buffer.alloc(32, 7)]]), 'test');

type Writable = Pick<Store, 'mutate'>;
interface Row<T extends keyof Database> {
  table: T;
  row: Database[T];
  change?: [kind: ChangeKind, guid: string, scope?: ChangeScope];
}

/** Inserts a row as it is, with its change on the feed. */
async function insert<T extends keyof Database>(store: Writable, { table, row, change }: Row<T>): Promise<Database[T]> {
  await store.mutate(async ({ db, changed }) => {
    await db
      .insertInto(table)
      .values(row as InsertObject<Database, T>)
      .execute();
    if (change !== undefined) changed(...change);
  });
  return row;
}

const STAMP = Date.UTC(2026, 0, 1);
const stamped = () => ({ guid: randomUUID(), created_at: STAMP, updated_at: STAMP });
/** Names are unique, so that two rows of a kind do not collide. */
const named = (kind: string): string => `${kind}-${randomUUID().slice(0, 8)}`;

/** A user who can not log in: `password_hash` is null unless given. */
export async function aUser(store: Writable, given: Partial<UsersTable> = {}): Promise<UsersTable> {
  const row: UsersTable = {
    ...stamped(),
    username: named('user'),
    origin: 'uaa',
    password_hash: null,
    is_admin: 0,
    given_name: null,
    family_name: null,
    email: null,
    listed: 1,
    ...given,
  };
  return insert(store, { table: 'users', row, change: ['user', row.guid] });
}

/** A quota without limits. */
export async function aQuota(
  store: Writable,
  given: Partial<OrganizationQuotasTable> = {},
): Promise<OrganizationQuotasTable> {
  const row: OrganizationQuotasTable = {
    ...stamped(),
    name: named('quota'),
    total_memory_mb: null,
    per_process_memory_mb: null,
    total_instances: null,
    log_rate_limit_bytes: null,
    total_services: null,
    paid_services_allowed: 1,
    total_routes: null,
    total_reserved_ports: null,
    total_domains: null,
    per_app_tasks: null,
    total_service_keys: null,
    ...given,
  };
  return insert(store, { table: 'organization_quotas', row });
}

export async function anOrganization(
  store: Writable,
  given: Partial<OrganizationsTable> = {},
): Promise<OrganizationsTable> {
  const row: OrganizationsTable = {
    ...stamped(),
    name: named('org'),
    suspended: 0,
    quota_guid: given.quota_guid ?? (await aQuota(store)).guid,
    default_isolation_segment_guid: null,
    ...given,
  };
  return insert(store, {
    table: 'organizations',
    row,
    change: ['organization', row.guid, { organizationGuid: row.guid }],
  });
}

export async function aSpace(store: Writable, given: Partial<SpacesTable> = {}): Promise<SpacesTable> {
  const row: SpacesTable = {
    ...stamped(),
    name: named('space'),
    organization_guid: given.organization_guid ?? (await anOrganization(store)).guid,
    allow_ssh: 1,
    quota_guid: null,
    isolation_segment_guid: null,
    ...given,
  };
  const scope = { organizationGuid: row.organization_guid, spaceGuid: row.guid };
  return insert(store, { table: 'spaces', row, change: ['space', row.guid, scope] });
}

/** `space_developer` in a new space unless said otherwise; an organization's role needs its `organization_guid`. */
export async function aRole(store: Writable, given: Partial<RolesTable> = {}): Promise<RolesTable> {
  const type = given.type ?? 'space_developer';
  const ofSpace = type.startsWith('space_');
  const row: RolesTable = {
    ...stamped(),
    type,
    user_guid: given.user_guid ?? (await aUser(store)).guid,
    organization_guid: ofSpace ? null : (given.organization_guid ?? (await anOrganization(store)).guid),
    space_guid: ofSpace ? (given.space_guid ?? (await aSpace(store)).guid) : null,
    ...given,
  };
  const scope = { organizationGuid: row.organization_guid, spaceGuid: row.space_guid };
  return insert(store, { table: 'roles', row, change: ['role', row.guid, scope] });
}

/** A shared domain. */
export async function aDomain(store: Writable, given: Partial<DomainsTable> = {}): Promise<DomainsTable> {
  const row: DomainsTable = {
    ...stamped(),
    name: `${named('apps')}.example`,
    internal: 0,
    organization_guid: null,
    ...given,
  };
  return insert(store, {
    table: 'domains',
    row,
    change: ['domain', row.guid, { organizationGuid: row.organization_guid }],
  });
}

/** A stopped app without a droplet and without processes. */
export async function anApp(store: Writable, given: Partial<AppsTable> = {}): Promise<AppsTable> {
  const row: AppsTable = {
    ...stamped(),
    name: named('app'),
    space_guid: given.space_guid ?? (await aSpace(store)).guid,
    state: 'STOPPED',
    stopped_at: null,
    lifecycle_type: 'buildpack',
    buildpacks_json: '[]',
    stack: 'host',
    current_droplet_guid: null,
    environment_sealed: testSealer.seal('{}'),
    ssh_enabled: 1,
    revisions_enabled: 0,
    ...given,
  };
  return insert(store, { table: 'apps', row, change: ['app', row.guid, { spaceGuid: row.space_guid }] });
}

/** One `web` instance of 1 GB, port check, never started. */
export async function aProcess(store: Writable, given: Partial<ProcessesTable> = {}): Promise<ProcessesTable> {
  const row: ProcessesTable = {
    ...stamped(),
    app_guid: given.app_guid ?? (await anApp(store)).guid,
    type: 'web',
    instances: 1,
    memory_mb: 1024,
    disk_mb: 1024,
    log_rate_limit_bytes: -1,
    command: null,
    detected_command: null,
    health_check_type: 'port',
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
    ...given,
  };
  return insert(store, { table: 'processes', row, change: ['process', row.guid] });
}

/** A bits package that waits for its upload. */
export async function aPackage(store: Writable, given: Partial<PackagesTable> = {}): Promise<PackagesTable> {
  const row: PackagesTable = {
    ...stamped(),
    app_guid: given.app_guid ?? (await anApp(store)).guid,
    type: 'bits',
    state: 'AWAITING_UPLOAD',
    digest: null,
    size_bytes: null,
    error: null,
    docker_image: null,
    docker_username: null,
    docker_password_sealed: null,
    ...given,
  };
  return insert(store, { table: 'packages', row, change: ['package', row.guid] });
}

/** A build that a user asked for and no stager has claimed. */
export async function aBuild(store: Writable, given: Partial<BuildsTable> = {}): Promise<BuildsTable> {
  const app_guid = given.app_guid ?? (await anApp(store)).guid;
  const row: BuildsTable = {
    ...stamped(),
    app_guid,
    package_guid: given.package_guid ?? (await aPackage(store, { app_guid, state: 'READY' })).guid,
    state: 'STAGING',
    error_title: null,
    error: null,
    droplet_guid: null,
    buildpacks_json: '[]',
    stack: 'host',
    environment_sealed: testSealer.seal('{}'),
    memory_mb: 1024,
    disk_mb: 6144,
    created_by_guid: null,
    created_by_name: null,
    adopted: 1,
    inputs_hash: '',
    cancelled: 0,
    fence: 0,
    attempts: 0,
    stager: null,
    last_stager: null,
    lease_until: null,
    finished_at: null,
    ...given,
  };
  return insert(store, { table: 'builds', row, change: ['build', row.guid] });
}

/** A staged droplet without layers that would run `npm start`. */
export async function aDroplet(store: Writable, given: Partial<DropletsTable> = {}): Promise<DropletsTable> {
  const row: DropletsTable = {
    ...stamped(),
    app_guid: given.app_guid ?? (await anApp(store)).guid,
    package_guid: null,
    build_guid: null,
    state: 'STAGED',
    error: null,
    stack: 'host',
    stack_digest: null,
    abi_key: null,
    layers_json: '[]',
    docker_image: null,
    image_config_json: null,
    buildpacks_json: '[]',
    process_types_json: '{"web":"npm start"}',
    execution_metadata: '',
    image_digest: null,
    sidecars_json: null,
    ...given,
  };
  return insert(store, { table: 'droplets', row, change: ['droplet', row.guid] });
}

/** A spec whose sealed text is `{}` unless given. */
export async function aRunSpec(store: Writable, given: Partial<RunSpecsTable> = {}): Promise<RunSpecsTable> {
  const app_guid = given.app_guid ?? (await anApp(store)).guid;
  const row: RunSpecsTable = {
    guid: randomUUID(),
    app_guid,
    process_guid: given.process_guid ?? (await aProcess(store, { app_guid })).guid,
    droplet_guid: given.droplet_guid ?? (await aDroplet(store, { app_guid })).guid,
    memory_mb: 1024,
    disk_mb: 1024,
    stack: 'host',
    spec_sealed: testSealer.seal('{}'),
    created_at: STAMP,
    ...given,
  };
  return insert(store, { table: 'run_specs', row });
}

export async function aRoute(store: Writable, given: Partial<RoutesTable> = {}): Promise<RoutesTable> {
  const row: RoutesTable = {
    ...stamped(),
    space_guid: given.space_guid ?? (await aSpace(store)).guid,
    domain_guid: given.domain_guid ?? (await aDomain(store)).guid,
    host: named('host'),
    path: '',
    options_json: '{}',
    ...given,
  };
  return insert(store, { table: 'routes', row, change: ['route', row.guid, { spaceGuid: row.space_guid }] });
}

/** A destination: the app's `web`, at its default port. Its change is the route's. */
export async function aDestination(
  store: Writable,
  given: Partial<RouteDestinationsTable> = {},
): Promise<RouteDestinationsTable> {
  const row: RouteDestinationsTable = {
    guid: randomUUID(),
    route_guid: given.route_guid ?? (await aRoute(store)).guid,
    app_guid: given.app_guid ?? (await anApp(store)).guid,
    process_type: 'web',
    port: null,
    protocol: 'http1',
    weight: null,
    created_at: STAMP,
    ...given,
  };
  return insert(store, { table: 'route_destinations', row, change: ['route', row.route_guid] });
}

/** A user-provided service instance with one credential. */
export async function anInstance(
  store: Writable,
  given: Partial<ServiceInstancesTable> = {},
): Promise<ServiceInstancesTable> {
  const row: ServiceInstancesTable = {
    ...stamped(),
    name: named('service'),
    space_guid: given.space_guid ?? (await aSpace(store)).guid,
    tags_json: '[]',
    secrets_sealed: testSealer.seal('{"credentials":{"password":"x"},"syslogDrainUrl":null,"routeServiceUrl":null}'),
    operation: 'create',
    operation_at: STAMP,
    ...given,
  };
  return insert(store, {
    table: 'service_instances',
    row,
    change: ['service_instance', row.guid, { spaceGuid: row.space_guid }],
  });
}

/** An app bound to a service instance. */
export async function aBinding(
  store: Writable,
  given: Partial<ServiceBindingsTable> = {},
): Promise<ServiceBindingsTable> {
  const row: ServiceBindingsTable = {
    ...stamped(),
    name: null,
    app_guid: given.app_guid ?? (await anApp(store)).guid,
    service_instance_guid: given.service_instance_guid ?? (await anInstance(store)).guid,
    ...given,
  };
  return insert(store, { table: 'service_bindings', row, change: ['service_binding', row.guid] });
}

/** An active cell with 4 GB of memory and 20 GB of disk. */
export async function aCell(store: Writable, given: Partial<CellsTable> = {}): Promise<CellsTable> {
  const cell_id = given.cell_id ?? named('cell');
  const row: CellsTable = {
    cell_id,
    name: cell_id,
    zone: 'z1',
    state: 'ACTIVE',
    session: randomUUID(),
    fence: 1,
    report_sequence: 0,
    stacks_json: '[{"name":"host","digest":"","abiKey":""}]',
    rung_json: '{}',
    capacity_memory_mb: 4096,
    capacity_disk_mb: 20_480,
    capacity_copies: 250,
    registered_at: STAMP,
    lost_at: null,
    forward_host: null,
    forward_port: null,
    drained_at: null,
    segment: null,
    ...given,
  };
  return insert(store, { table: 'cells', row, change: ['cell', row.cell_id] });
}

/** What a placement and a copy have in common. Space and organization are the app's. */
async function whereItRuns(store: Writable, given: Partial<PlacementsTable> | Partial<CopiesTable>) {
  const app_guid = given.app_guid ?? (await anApp(store)).guid;
  const process_guid = given.process_guid ?? (await aProcess(store, { app_guid })).guid;
  const home = await store.mutate(({ db }) =>
    db
      .selectFrom('apps')
      .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
      .select(['space_guid', 'organization_guid'])
      .where('apps.guid', '=', app_guid)
      .executeTakeFirstOrThrow(),
  );
  return {
    ...home,
    guid: randomUUID(),
    generation: 1,
    process_guid,
    app_guid,
    index_number: 0,
    run_spec_guid: given.run_spec_guid ?? (await aRunSpec(store, { app_guid, process_guid })).guid,
    cell_id: given.cell_id ?? (await aCell(store)).cell_id,
  };
}

/** The first revision of an app, without environment, commands or sidecars. */
export async function aRevision(store: Writable, given: Partial<RevisionsTable> = {}): Promise<RevisionsTable> {
  const app_guid = given.app_guid ?? (await anApp(store)).guid;
  const row: RevisionsTable = {
    ...stamped(),
    app_guid,
    version: 1,
    droplet_guid: given.droplet_guid ?? (await aDroplet(store, { app_guid })).guid,
    environment_sealed: testSealer.seal('{}'),
    commands_json: '{}',
    sidecars_json: '[]',
    description: 'Initial revision.',
    ...given,
  };
  return insert(store, { table: 'revisions', row, change: ['revision', row.guid] });
}

/** A user's own, beside `web`. */
export async function aSidecar(store: Writable, given: Partial<SidecarsTable> = {}): Promise<SidecarsTable> {
  const row: SidecarsTable = {
    ...stamped(),
    app_guid: given.app_guid ?? (await anApp(store)).guid,
    name: named('sidecar'),
    command: 'true',
    process_types_json: '["web"]',
    memory_mb: null,
    origin: 'user',
    ...given,
  };
  return insert(store, { table: 'sidecars', row });
}

/** A task of 1 GB that waits for a cell, with its run spec. */
export async function aTask(store: Writable, given: Partial<TasksTable> = {}): Promise<TasksTable> {
  const guid = given.guid ?? randomUUID();
  const app_guid = given.app_guid ?? (await anApp(store)).guid;
  const droplet_guid = given.droplet_guid ?? (await aDroplet(store, { app_guid })).guid;
  const row: TasksTable = {
    ...stamped(),
    guid,
    created_at: Date.now(),
    app_guid,
    droplet_guid,
    sequence_id: 1,
    name: 'task',
    command_sealed: testSealer.seal('true'),
    state: 'PENDING',
    memory_mb: 1024,
    disk_mb: 1024,
    log_rate_limit_bytes: -1,
    failure_reason: null,
    run_spec_guid: given.run_spec_guid ?? (await aRunSpec(store, { app_guid, droplet_guid, process_guid: guid })).guid,
    ended_at: null,
    ...given,
  };
  return insert(store, { table: 'tasks', row, change: ['task', row.guid] });
}

/** A rolling deployment of one more instance at a time that has just begun; its process is not made. */
export async function aDeployment(store: Writable, given: Partial<DeploymentsTable> = {}): Promise<DeploymentsTable> {
  const row: DeploymentsTable = {
    ...stamped(),
    app_guid: given.app_guid ?? (await anApp(store)).guid,
    state: 'DEPLOYING',
    status_value: 'ACTIVE',
    status_reason: 'DEPLOYING',
    status_changed_at: STAMP,
    strategy: 'rolling',
    droplet_guid: null,
    previous_droplet_guid: null,
    revision_guid: null,
    revision_version: null,
    process_guid: randomUUID(),
    process_type: 'web',
    original_instances: 1,
    max_in_flight: 1,
    canary_weights_json: null,
    canary_step: null,
    web_instances: null,
    memory_mb: null,
    disk_mb: null,
    log_rate_limit_bytes: null,
    others_json: '[]',
    last_healthy_at: null,
    error: null,
    ...given,
  };
  return insert(store, { table: 'deployments', row, change: ['deployment', row.guid] });
}

/** Index 0 in its first generation on a new cell. */
export async function aPlacement(store: Writable, given: Partial<PlacementsTable> = {}): Promise<PlacementsTable> {
  const row: PlacementsTable = {
    ...(await whereItRuns(store, given)),
    start_sequence: 1,
    memory_mb: 1024,
    disk_mb: 1024,
    placed_at: STAMP,
    ...given,
  };
  return insert(store, { table: 'placements', row, change: ['placement', row.guid, scopeOf(row)] });
}

/** A healthy copy at 127.0.0.1:61001, as its agent reported it. */
export async function aCopy(store: Writable, given: Partial<CopiesTable> = {}): Promise<CopiesTable> {
  const row: CopiesTable = {
    ...(await whereItRuns(store, given)),
    state: 'RUNNING',
    attempt: 1,
    host: '127.0.0.1',
    port: 61_001,
    routable: 1,
    crash_count: 0,
    restart_at: null,
    since: STAMP,
    exit_json: null,
    placement_error: null,
    applied_change: null,
    ...given,
  };
  return insert(store, { table: 'copies', row, change: ['copy', row.guid, scopeOf(row)] });
}

const scopeOf = (row: PlacementsTable | CopiesTable): ChangeScope => ({
  organizationGuid: row.organization_guid,
  spaceGuid: row.space_guid,
});

/** What is counted otherwise than it is, by plain `count(*)`: `list in scope: kept K, counted C`. None, whatever was done before. */
export async function wrongCounts({ read }: Pick<Store, 'read'>): Promise<string[]> {
  const wrong: string[] = [];
  for (const [list, rows] of Object.entries(rowsOfLists())) {
    const { rows: differing } = await sql<{ scope: string; kept: number | null; counted: number | null }>`
      with places as (${rows}),
        counted as (
          select '' as scope, count(*) as number from places having count(*) > 0
          union all select space_guid, count(*) from places where space_guid is not null group by space_guid
          union all select organization_guid, count(*) from places where organization_guid is not null group by organization_guid),
        kept as (select scope_guid as scope, count as number from list_counts where list = ${list})
      select coalesce(kept.scope, counted.scope) as scope, kept.number as kept, counted.number as counted
      from kept full join counted on kept.scope = counted.scope
      where coalesce(kept.number, 0) <> coalesce(counted.number, 0)`.execute(read);
    wrong.push(
      ...differing.map(({ scope, kept, counted }) => `${list} in "${scope}": kept ${kept}, counted ${counted}`),
    );
  }
  return wrong;
}

/** Rows of each list with where they lie, as a reader would find them without what is kept. */
function rowsOfLists(): Record<string, RawBuilder<unknown>> {
  const inSpaces = (list: string) =>
    sql`select space_guid, organization_guid from ${sql.table(list)} as one
      left join (select guid as space, organization_guid from spaces) as home on space = one.space_guid`;
  const ofApps = (list: string, where = sql`1 = 1`) =>
    sql`select space_guid, organization_guid from ${sql.table(list)} as one
      left join (select guid as app, space_guid from apps) as owner on app = one.app_guid
      left join (select guid as space, organization_guid from spaces) as home on space = space_guid where ${where}`;
  return {
    ...Object.fromEntries(['apps', 'routes', 'service_instances'].map(list => [list, inSpaces(list)])),
    ...Object.fromEntries(
      ['processes', 'packages', 'tasks', 'deployments', 'service_bindings'].map(list => [list, ofApps(list)]),
    ),
    builds: ofApps('builds', sql`one.adopted = 1`),
    droplets: ofApps(
      'droplets',
      sql`not exists (select 1 from builds where builds.guid = one.build_guid and builds.adopted = 0)`,
    ),
    audit_events: sql`select space_guid, organization_guid from audit_events`,
  };
}
