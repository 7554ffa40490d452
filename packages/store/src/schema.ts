/**
 * The tables, as Kysely sees them; `migrations/` makes them on SQLite (STRICT) and PostgreSQL alike. Rows never leave this package's users in the API
 * and scheduler: presenters turn them into CF's JSON.
 *
 * - guids are keys; times are integer ms (`*_at`); booleans are 0 or 1; JSON is TEXT (`*_json`) written with JSON.stringify.
 * - `*_sealed` columns are AES-256-GCM with a key id (`seal.ts`); the key lies outside the store.
 * - One writer for each fact: the API writes desired state, the scheduler `placements` and `cells.state`, agents (by report) `copies`.
 * - Every mutation goes through `Store.mutate`, which takes the next revision and writes `changes` in the same transaction.
 */
import type { GitFailureRule, GitSubmoduleRule } from '@cupola/model/git-rules';
import type { PreviewRule } from '@cupola/model/previews';
import type {
  AppState,
  BuildState,
  CellState,
  CopyState,
  DeploymentState,
  DeploymentStatusReason,
  DeploymentStatusValue,
  DeploymentStrategy,
  DropletState,
  HealthCheckType,
  JobState,
  PackageState,
  RoleType,
  TaskState,
} from '@cupola/model/states';

type Bool = 0 | 1;
interface Stamped {
  guid: string;
  created_at: number;
  updated_at: number;
}

/** Single row (id 1): the feed's cursor is (epoch, revision). Locked first in each batch. */
export interface CounterTable {
  id: 1;
  epoch: string;
  revision: number;
}
export interface ChangesTable {
  revision: number;
  kind: string;
  guid: string;
  organization_guid: string | null;
  space_guid: string | null;
}
/** Platform facts by name: `installation_guid`, `admin_created`. */
export interface SettingsTable {
  key: string;
  value: string;
}

export interface UsersTable extends Stamped {
  username: string;
  origin: string;
  /** scrypt, with its parameters; null for users known by name only. */
  password_hash: string | null;
  is_admin: Bool;
  given_name: string | null;
  family_name: string | null;
  email: string | null;
  /** 0: an account that may log in but is no user of the v3 API: made by UAA's API alone, or deleted as a user. Logging in makes it one. */
  listed: Bool;
}
export interface OauthClientsTable {
  client_id: string;
  secret_hash: string | null;
  /** Comma-separated: `password,refresh_token`. */
  grant_types: string;
  authorities: string;
  created_at: number;
}
export interface RefreshTokensTable {
  /** sha-256 of the token. */
  token_hash: string;
  family: string;
  user_guid: string;
  client_id: string;
  used_at: number | null;
  revoked: Bool;
  expires_at: number;
  created_at: number;
}
export interface SigningKeysTable {
  kid: string;
  public_jwk_json: string;
  private_sealed: string;
  created_at: number;
  retired_at: number | null;
}

export interface OrganizationsTable extends Stamped {
  name: string;
  suspended: Bool;
  quota_guid: string;
  default_isolation_segment_guid: string | null;
}
export interface OrganizationQuotasTable extends Stamped {
  name: string;
  total_memory_mb: number | null;
  per_process_memory_mb: number | null;
  total_instances: number | null;
  log_rate_limit_bytes: number | null;
  total_services: number | null;
  paid_services_allowed: Bool;
  total_routes: number | null;
  total_reserved_ports: number | null;
  total_domains: number | null;
  per_app_tasks: number | null;
  total_service_keys: number | null;
}
export interface SpacesTable extends Stamped {
  name: string;
  organization_guid: string;
  allow_ssh: Bool;
  /** A quota of its organization's, beside the organization's own. */
  quota_guid: string | null;
  isolation_segment_guid: string | null;
}
/** Of one organization, for some of its spaces. Null is unlimited. */
export interface SpaceQuotasTable extends Omit<OrganizationQuotasTable, 'total_domains'> {
  organization_guid: string;
}
/** Where apps may connect to. */
export interface SecurityGroupsTable extends Stamped {
  name: string;
  /** JSON list of CF's rules. */
  rules_json: string;
  /** Of all spaces. */
  running_default: Bool;
  staging_default: Bool;
}
export interface SecurityGroupSpacesTable {
  security_group_guid: string;
  space_guid: string;
  phase: 'running' | 'staging';
}
/** Instances of one app reach those of another on these ports. */
export interface NetworkPoliciesTable {
  guid: string;
  created_at: number;
  source_app_guid: string;
  destination_app_guid: string;
  protocol: 'tcp' | 'udp';
  first_port: number;
  last_port: number;
}
export interface IsolationSegmentsTable extends Stamped {
  name: string;
}
/** Organizations whose spaces may be put into a segment. */
export interface IsolationSegmentOrganizationsTable {
  isolation_segment_guid: string;
  organization_guid: string;
}
/** Those that come with the platform, and those that admins add; in the order of `position`, from 1, they look at an app. */
export interface BuildpacksTable extends Stamped {
  name: string;
  stack: string | null;
  lifecycle: 'buildpack' | 'cnb';
  filename: string | null;
  position: number;
  enabled: Bool;
  locked: Bool;
  /** Blob key of its zip; null for those of the platform, and until somebody uploads it. */
  digest: string | null;
  size_bytes: number | null;
}
export interface StacksTable extends Stamped {
  name: string;
  description: string;
  state: 'ACTIVE' | 'RESTRICTED' | 'DEPRECATED' | 'DISABLED';
  state_reason: string | null;
}
/** What somebody who bills wants to know: CF's app and service usage events, as they were. */
export interface UsageEventsTable extends Stamped {
  kind: 'app' | 'service';
  data_json: string;
}
export interface PasscodesTable {
  /** sha-256 of the code. */
  code_hash: string;
  user_guid: string;
  expires_at: number;
}
export interface AuthorizationCodesTable {
  /** sha-256 of the code. */
  code_hash: string;
  user_guid: string;
  client_id: string;
  /** base64url of the sha-256 of the verifier that only who began the sign-in has. */
  challenge: string;
  expires_at: number;
}
export interface RolesTable extends Stamped {
  type: RoleType;
  user_guid: string;
  organization_guid: string | null;
  space_guid: string | null;
}
export interface DomainsTable extends Stamped {
  name: string;
  internal: Bool;
  /** null: shared by all organizations. */
  organization_guid: string | null;
}
/** Other organizations that may use a private domain. */
export interface DomainSharesTable {
  domain_guid: string;
  organization_guid: string;
  created_at: number;
}

export interface AppsTable extends Stamped {
  name: string;
  space_guid: string;
  state: AppState;
  /** When `actions/stop` came: copies and routes linger for STOP_LINGER_MS. Null while STARTED. */
  stopped_at: number | null;
  lifecycle_type: 'buildpack' | 'docker' | 'cnb';
  /** JSON list of names or URLs, as asked for. */
  buildpacks_json: string;
  stack: string;
  current_droplet_guid: string | null;
  /** JSON object of user-provided variables, sealed. */
  environment_sealed: string;
  ssh_enabled: Bool;
  revisions_enabled: Bool;
}
export interface ProcessesTable extends Stamped {
  app_guid: string;
  type: string;
  instances: number;
  memory_mb: number;
  disk_mb: number;
  log_rate_limit_bytes: number;
  /** Set by the user (manifest `command`, PATCH); null: the droplet's. */
  command: string | null;
  /** What the current droplet says for this type. */
  detected_command: string | null;
  health_check_type: HealthCheckType;
  health_check_endpoint: string | null;
  health_check_timeout_s: number | null;
  health_check_invocation_timeout_s: number | null;
  health_check_interval_s: number | null;
  readiness_type: HealthCheckType;
  readiness_endpoint: string | null;
  readiness_invocation_timeout_s: number | null;
  readiness_interval_s: number | null;
  /** What start, restart or a deployment last fixed; null before the first start. */
  run_spec_guid: string | null;
  /** Grows at each start or restart of the whole process: a placement with a smaller one is of a former run. */
  start_sequence: number;
  /** JSON object index -> number: grows by `restart-app-instance`. */
  index_starts_json: string;
  /** When it was last started, restarted or scaled on purpose: routers hold requests for what was planned. */
  planned_at: number | null;
  /** What its last start or deployment made current, where the app has revisions. */
  revision_guid: string | null;
}
/** Immutable. */
export interface RunSpecsTable {
  guid: string;
  app_guid: string;
  process_guid: string;
  droplet_guid: string;
  memory_mb: number;
  disk_mb: number;
  stack: string;
  /** The whole `RunSpec` as JSON, sealed since it holds the environment. */
  spec_sealed: string;
  created_at: number;
}

export interface PackagesTable extends Stamped {
  app_guid: string;
  type: 'bits' | 'docker';
  state: PackageState;
  /** Blob key of the pack (one zip). */
  digest: string | null;
  size_bytes: number | null;
  error: string | null;
  docker_image: string | null;
  docker_username: string | null;
  docker_password_sealed: string | null;
}
/** Where the newest pack of an organization has a file: an entry of that zip, still deflated. */
export interface ResourcesTable {
  organization_guid: string;
  sha1: string;
  size_bytes: number;
  sha256: string;
  blob_digest: string;
  /** Of the entry's data in the zip, after its local header. */
  data_offset: number;
  compressed_bytes: number;
  /** Zip method: 0 stored, 8 deflated. */
  method: number;
  crc32: number;
  seen_at: number;
}
export interface BuildsTable extends Stamped {
  app_guid: string;
  package_guid: string;
  state: BuildState;
  error_title: string | null;
  error: string | null;
  droplet_guid: string | null;
  buildpacks_json: string;
  stack: string;
  environment_sealed: string;
  memory_mb: number;
  disk_mb: number;
  created_by_guid: string | null;
  created_by_name: string | null;
  /** 0: begun by the end of an upload and not asked for yet: invisible in the API. */
  adopted: Bool;
  /** sha-256 over env, buildpacks and stack: adoption needs the same. */
  inputs_hash: string;
  cancelled: Bool;
  fence: number;
  attempts: number;
  stager: string | null;
  /** Who has claimed it last; null: nobody yet. */
  last_stager: string | null;
  /** Until when by the store's wall clock; judged only by the API that granted it. */
  lease_until: number | null;
  finished_at: number | null;
}
export interface DropletsTable extends Stamped {
  app_guid: string;
  package_guid: string | null;
  build_guid: string | null;
  state: DropletState;
  error: string | null;
  stack: string;
  stack_digest: string | null;
  abi_key: string | null;
  /** JSON list of `Layer`. */
  layers_json: string;
  /** JSON list of {name, buildpackName, detectOutput, version}. */
  buildpacks_json: string;
  process_types_json: string;
  execution_metadata: string;
  image_digest: string | null;
  /** JSON list of {name, processTypes, command} that buildpacks want beside the app; null: none. */
  sidecars_json: string | null;
  /** Name and digest of the image that it is; null: a droplet of a stack. */
  docker_image: string | null;
  /** JSON `ImageConfig`; null: none. */
  image_config_json: string | null;
}
/** What an app was when it was last started or deployed: droplet, environment, commands. Immutable but for its labels. */
export interface RevisionsTable extends Stamped {
  app_guid: string;
  /** From 1; after 9999 from 1 again, as in CF. */
  version: number;
  droplet_guid: string;
  environment_sealed: string;
  /** JSON object: the user's command of each process type, null where there is none. */
  commands_json: string;
  /** JSON list of {name, command, processTypes, memoryMb}. */
  sidecars_json: string;
  description: string;
}
/** Moving an app's `web` process to a new one, a few instances at a time. The API makes and cancels it, the scheduler moves and ends it. */
export interface DeploymentsTable extends Stamped {
  app_guid: string;
  state: DeploymentState;
  status_value: DeploymentStatusValue;
  status_reason: DeploymentStatusReason;
  status_changed_at: number;
  strategy: DeploymentStrategy;
  droplet_guid: string | null;
  previous_droplet_guid: string | null;
  revision_guid: string | null;
  revision_version: number | null;
  /** The process that it brings up; null: the app was stopped and was simply started. */
  process_guid: string | null;
  process_type: string;
  /** How many instances there were before, which a cancellation brings back. */
  original_instances: number;
  max_in_flight: number;
  /** Of a canary one, JSON list of the percentages as they were asked for; null: one step with one canary. */
  canary_weights_json: string | null;
  /** From 1; null: it is no canary one. */
  canary_step: number | null;
  /** These four as they were asked for. */
  web_instances: number | null;
  memory_mb: number | null;
  disk_mb: number | null;
  log_rate_limit_bytes: number | null;
  /** JSON list of {processGuid, runSpecGuid, command}: what the app's other processes run once it is done. */
  others_json: string;
  last_healthy_at: number | null;
  error: string | null;
}
/** A command run once, with an app's droplet and environment. The API makes it and asks for its cancellation, the scheduler writes what became of it. */
export interface TasksTable extends Stamped {
  app_guid: string;
  droplet_guid: string;
  /** From 1 in each app. */
  sequence_id: number;
  name: string;
  command_sealed: string;
  state: TaskState;
  memory_mb: number;
  disk_mb: number;
  log_rate_limit_bytes: number;
  failure_reason: string | null;
  run_spec_guid: string;
  ended_at: number | null;
}
/** A second command in each instance of some process types. */
export interface SidecarsTable extends Stamped {
  app_guid: string;
  name: string;
  command: string;
  /** JSON list. */
  process_types_json: string;
  /** Its part of the instance's memory, told to it as MEMORY_LIMIT; null: not said. */
  memory_mb: number | null;
  /** `buildpack`: made anew with each droplet. */
  origin: 'user' | 'buildpack';
}
/** Toolchain layers made once for all apps. */
export interface ToolchainsTable {
  key: string;
  version: string;
  layer_json: string;
  created_at: number;
}
export interface JobsTable extends Stamped {
  operation: string;
  state: JobState;
  errors_json: string;
  warnings_json: string;
  /** Of what it is about, for links. */
  resource_guid: string | null;
  user_guid: string | null;
}

export interface RoutesTable extends Stamped {
  space_guid: string;
  domain_guid: string;
  host: string;
  path: string;
  options_json: string;
}
export interface RouteDestinationsTable {
  guid: string;
  route_guid: string;
  app_guid: string;
  process_type: string;
  port: number | null;
  protocol: string;
  weight: number | null;
  created_at: number;
}

/** User-provided only: there are no brokers. */
export interface ServiceInstancesTable extends Stamped {
  name: string;
  space_guid: string;
  tags_json: string;
  /** JSON `{credentials, syslogDrainUrl, routeServiceUrl}`, sealed: such URLs have tokens in them. */
  secrets_sealed: string;
  /** What was done last, and when: it has succeeded, for nobody else was asked. */
  operation: 'create' | 'update';
  operation_at: number;
}
/** That an app finds a service instance in VCAP_SERVICES. What it finds is the instance's. */
export interface ServiceBindingsTable extends Stamped {
  name: string | null;
  app_guid: string;
  service_instance_guid: string;
}

/** Scheduler's: which copy shall run where. A row that goes away tells its agent to stop the copy. */
export interface PlacementsTable {
  /** The copy's guid. */
  guid: string;
  generation: number;
  process_guid: string;
  app_guid: string;
  space_guid: string;
  organization_guid: string;
  index_number: number;
  run_spec_guid: string;
  start_sequence: number;
  cell_id: string;
  memory_mb: number;
  disk_mb: number;
  placed_at: number;
}
/** Why a wanted index has no placement: the reason the user sees. Scheduler's. */
export interface PlacementErrorsTable {
  process_guid: string;
  index_number: number;
  reason: string;
  since: number;
}
/** Agents': what is so. */
export interface CopiesTable {
  guid: string;
  generation: number;
  process_guid: string;
  app_guid: string;
  space_guid: string;
  organization_guid: string;
  index_number: number;
  run_spec_guid: string;
  cell_id: string;
  state: CopyState;
  attempt: number;
  host: string | null;
  port: number | null;
  routable: Bool;
  crash_count: number;
  restart_at: number | null;
  since: number;
  exit_json: string | null;
  placement_error: string | null;
  /** Of a development app: the newest change that it has taken; null: it is none. */
  applied_change: number | null;
}
export interface CellsTable {
  cell_id: string;
  name: string;
  zone: string;
  state: CellState;
  session: string;
  fence: number;
  /** The report sequence applied last in this session. */
  report_sequence: number;
  stacks_json: string;
  rung_json: string;
  capacity_memory_mb: number;
  capacity_disk_mb: number;
  capacity_copies: number;
  registered_at: number;
  lost_at: number | null;
  /** Where other machines reach its instances, through its agent; null: only this machine does. */
  forward_host: string | null;
  forward_port: number | null;
  /** The operator's wish, epoch ms: what runs there shall move away. Its `state` follows. */
  drained_at: number | null;
  /** Name of the isolation segment that it is in; null: it is everybody's. */
  segment: string | null;
}
/** Heartbeats: one unrevisioned row a cell, written without the feed. */
export interface CellHeartbeatsTable {
  cell_id: string;
  session: string;
  counter: number;
  usage_json: string;
  at: number;
}
/** Of the stager that holds a build under `fence`: unrevisioned, compared by its counter alone. */
export interface BuildHeartbeatsTable {
  build_guid: string;
  fence: number;
  counter: number;
}
/** The cluster's own certificate authority: one row, of the name `members`. */
export interface ClusterAuthorityTable {
  name: string;
  /** PEM. */
  certificate: string;
  key_sealed: string;
  created_at: number;
}
/** Machines that hold a certificate of the cluster's authority. */
export interface MembersTable {
  id: string;
  host_name: string;
  roles_json: string;
  joined_at: number;
  renewed_at: number;
  /** Refused from then on, whatever its certificate says. */
  removed_at: number | null;
}
/** What lets one machine join. The token itself is nowhere. */
export interface JoinTokensTable {
  /** SHA-256 in hex. */
  token_hash: string;
  roles_json: string;
  created_at: number;
  expires_at: number;
  /** A token serves one member, who may repeat its call. */
  used_by: string | null;
}
export interface LeasesTable {
  name: string;
  holder: string;
  fence: number;
  counter: number;
}

export interface AuditEventsTable {
  guid: string;
  created_at: number;
  type: string;
  actor_guid: string;
  actor_type: string;
  actor_name: string;
  target_guid: string;
  target_type: string;
  target_name: string;
  space_guid: string | null;
  organization_guid: string | null;
  data_json: string;
}
/** Labels and annotations of any resource; `kind` as in the feed (`app`, `organization` ...). */
export interface LabelsTable {
  kind: string;
  resource_guid: string;
  /** Prefix and name as CF takes them: `example.com/team`. */
  key: string;
  value: string;
}
export interface AnnotationsTable {
  kind: string;
  resource_guid: string;
  key: string;
  value: string;
}
export interface FeatureFlagsTable {
  name: string;
  enabled: Bool;
  custom_error_message: string | null;
  updated_at: number;
}
export interface EnvironmentGroupsTable {
  /** `running` or `staging`. */
  name: string;
  variables_sealed: string;
  updated_at: number;
}
/** Offers that wait for the build queue's embedded adapter. */
export interface BuildQueueTable {
  build_guid: string;
  priority: number;
  offered_at: number;
  leased_by: string | null;
  leased_until: number | null;
}

/** How often the caches of builds were thrown away; an empty `app_guid` stands for all apps. */
export interface CacheClearingsTable {
  app_guid: string;
  generation: number;
}

/** Public keys by which users push over SSH; a fingerprint is one user's. */
export interface SshKeysTable {
  guid: string;
  user_guid: string;
  name: string;
  algorithm: string;
  fingerprint: string;
  /** The wire form, base64. */
  public_key: string;
  created_at: number;
}

/** Logins over SSH that were granted. */
export interface SshLoginsTable {
  /** Hash of what was signed, which names the session. */
  guid: string;
  key_guid: string;
  seen_at: number;
}

/** Of pushes by git; an app without a row has the usual ones. */
export interface GitSettingsTable {
  app_guid: string;
  /** That is deployed; null: the one of the first push. */
  branch: string | null;
  on_failure: GitFailureRule;
  submodules: GitSubmoduleRule;
  /** Null: none. */
  previews: PreviewRule | null;
  preview_hours: number | null;
  /** Names of those variables of the app that previews of its branches have too. */
  preview_variables_json: string | null;
}

/** An app that is the preview of a branch, or a pull request, of another. */
export interface GitPreviewsTable {
  app_guid: string;
  of_app_guid: string;
  /** Or `#12`: a pull request of a fork. */
  source: string;
  /** That a forge has told of last. */
  commit_id: string | null;
  /** Deleted then, unless it is pushed to again. */
  expires_at: number;
  created_at: number;
}

export interface DevelopmentAppsTable {
  app_guid: string;
  /** Who has made it. */
  user_guid: string;
  /** It lives for so long after a change. */
  hours: number;
  expires_at: number;
  created_at: number;
}

/** What the files of a development app have become, a change at a time, since that droplet was made. */
export interface DevelopmentChangesTable {
  app_guid: string;
  droplet_guid: string;
  /** From 1, without a gap. */
  sequence: number;
  /** Of its tar. */
  digest: string;
  size_bytes: number;
  created_at: number;
}

/** What an app deploys when a forge tells of a push. */
export interface GitWebhooksTable {
  /** In the address that the forge asks. */
  guid: string;
  app_guid: string;
  /** As whom it is deployed: who has made the webhook. */
  user_guid: string;
  repository_url: string;
  branch: string;
  secret_sealed: string;
  /** `{"user","token"}` of the forge; null: the repository is public. */
  login_sealed: string | null;
  /** OpenSSH's private key, and its public line; null: not over SSH. */
  deploy_key_sealed: string | null;
  deploy_key: string | null;
  /** By which the forge is known again; null until it was asked. */
  known_hosts: string | null;
  created_at: number;
}

/** A push event that was taken, until its deployment has ended. */
export interface GitOrdersTable {
  guid: string;
  app_guid: string;
  webhook_guid: string;
  commit_id: string;
  /** Whose event it was: one of those that the contract names. */
  forge: string;
  /** What is fetched, when it is not the branch of the webhook. */
  ref: string | null;
  /** How often an API began to work at it. */
  attempts: number;
  /** Until then an API works at it, or it rests. */
  held_until: number;
  created_at: number;
}

/** Digests of deliveries that have come. */
export interface GitDeliveriesTable {
  guid: string;
  seen_at: number;
}

/** Where each row of a list lies, and when it was made. Kept by triggers (migration 0008), written by nobody else. */
export interface ListedTable {
  /** Name of its table. */
  list: string;
  guid: string;
  created_at: number;
  space_guid: string | null;
  organization_guid: string | null;
}
/** How many rows of a list lie in a space or an organization; in all, where `scope_guid` is empty. None where there is no row. Kept by triggers too. */
export interface ListCountsTable {
  list: string;
  scope_guid: string;
  count: number;
}

/** On PostgreSQL: what a process has committed last, by its own count. Epoch ms of the server. */
export interface WritersTable {
  guid: string;
  commits: number;
  seen_at: number;
}

/** Figures of all apps in one short window, as one API has heard of them; packed once the hour is over. */
export interface MetricWindowsTable {
  /** Begin of the window, epoch ms. */
  at: number;
  /** New at each start of an API. */
  source: string;
  /** By app: `{"GUID": {"r": [...], "u": [cpu, memoryBytes, instances]}}`. */
  apps_json: string;
}
/** Figures of one app in one hour. */
export interface MetricPacksTable {
  app_guid: string;
  /** Length of the windows in it. */
  step_s: number;
  /** Begin of the hour, epoch ms. */
  at: number;
  size_bytes: number;
  /** JSON, deflated, in base64. */
  packed: string;
}

export interface Database {
  counter: CounterTable;
  writers: WritersTable;
  changes: ChangesTable;
  settings: SettingsTable;
  users: UsersTable;
  oauth_clients: OauthClientsTable;
  refresh_tokens: RefreshTokensTable;
  signing_keys: SigningKeysTable;
  organizations: OrganizationsTable;
  organization_quotas: OrganizationQuotasTable;
  spaces: SpacesTable;
  space_quotas: SpaceQuotasTable;
  security_groups: SecurityGroupsTable;
  security_group_spaces: SecurityGroupSpacesTable;
  network_policies: NetworkPoliciesTable;
  isolation_segments: IsolationSegmentsTable;
  isolation_segment_organizations: IsolationSegmentOrganizationsTable;
  buildpacks: BuildpacksTable;
  cache_clearings: CacheClearingsTable;
  git_settings: GitSettingsTable;
  git_webhooks: GitWebhooksTable;
  git_deliveries: GitDeliveriesTable;
  git_orders: GitOrdersTable;
  git_previews: GitPreviewsTable;
  development_apps: DevelopmentAppsTable;
  development_changes: DevelopmentChangesTable;
  ssh_keys: SshKeysTable;
  ssh_logins: SshLoginsTable;
  stacks: StacksTable;
  usage_events: UsageEventsTable;
  passcodes: PasscodesTable;
  authorization_codes: AuthorizationCodesTable;
  roles: RolesTable;
  domains: DomainsTable;
  domain_shares: DomainSharesTable;
  apps: AppsTable;
  processes: ProcessesTable;
  run_specs: RunSpecsTable;
  packages: PackagesTable;
  resources: ResourcesTable;
  builds: BuildsTable;
  droplets: DropletsTable;
  toolchains: ToolchainsTable;
  revisions: RevisionsTable;
  deployments: DeploymentsTable;
  tasks: TasksTable;
  sidecars: SidecarsTable;
  jobs: JobsTable;
  routes: RoutesTable;
  route_destinations: RouteDestinationsTable;
  service_instances: ServiceInstancesTable;
  service_bindings: ServiceBindingsTable;
  placements: PlacementsTable;
  placement_errors: PlacementErrorsTable;
  copies: CopiesTable;
  cells: CellsTable;
  cell_heartbeats: CellHeartbeatsTable;
  build_heartbeats: BuildHeartbeatsTable;
  cluster_authority: ClusterAuthorityTable;
  members: MembersTable;
  join_tokens: JoinTokensTable;
  leases: LeasesTable;
  audit_events: AuditEventsTable;
  labels: LabelsTable;
  annotations: AnnotationsTable;
  feature_flags: FeatureFlagsTable;
  environment_groups: EnvironmentGroupsTable;
  build_queue: BuildQueueTable;
  listed: ListedTable;
  list_counts: ListCountsTable;
  metric_windows: MetricWindowsTable;
  metric_packs: MetricPacksTable;
}

/** Kinds of the change feed. */
export const CHANGE_KINDS = [
  'organization',
  'space',
  'role',
  'user',
  'domain',
  'app',
  'process',
  'package',
  'build',
  'droplet',
  'revision',
  'deployment',
  'task',
  'job',
  'route',
  'service_instance',
  'service_binding',
  'security_group',
  'network_policy',
  'buildpack',
  'placement',
  'placement_error',
  'copy',
  'cell',
  'scheduler',
  'audit_event',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];
