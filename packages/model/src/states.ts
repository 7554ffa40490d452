/** Every state a Cloud Foundry resource or a copy can be in, once. The API, the CLI and the scheduler ask here; schemas use `z.enum(...)` over these lists. */

export const APP_STATES = ['STARTED', 'STOPPED'] as const;
export type AppState = (typeof APP_STATES)[number];

export const PACKAGE_STATES = [
  'AWAITING_UPLOAD',
  'PROCESSING_UPLOAD',
  'COPYING',
  'READY',
  'FAILED',
  'EXPIRED',
] as const;
export type PackageState = (typeof PACKAGE_STATES)[number];

export const BUILD_STATES = ['STAGING', 'STAGED', 'FAILED'] as const;
export type BuildState = (typeof BUILD_STATES)[number];

export const DROPLET_STATES = [
  'AWAITING_UPLOAD',
  'PROCESSING_UPLOAD',
  'COPYING',
  'STAGED',
  'FAILED',
  'EXPIRED',
] as const;
export type DropletState = (typeof DROPLET_STATES)[number];

/** Of a deployment's work. What users read of it are its status value and reason. PREPAUSED: a canary one on its way to its next pause. */
export const DEPLOYMENT_STATES = ['DEPLOYING', 'PREPAUSED', 'PAUSED', 'DEPLOYED', 'CANCELING', 'CANCELED'] as const;
export type DeploymentState = (typeof DEPLOYMENT_STATES)[number];
export const DEPLOYMENT_STATUS_VALUES = ['ACTIVE', 'FINALIZED'] as const;
export type DeploymentStatusValue = (typeof DEPLOYMENT_STATUS_VALUES)[number];
export const DEPLOYMENT_STATUS_REASONS = [
  'DEPLOYING',
  'PAUSED',
  'DEPLOYED',
  'CANCELING',
  'CANCELED',
  'SUPERSEDED',
] as const;
export const DEPLOYMENT_STRATEGIES = ['rolling', 'canary'] as const;
export type DeploymentStrategy = (typeof DEPLOYMENT_STRATEGIES)[number];
export type DeploymentStatusReason = (typeof DEPLOYMENT_STATUS_REASONS)[number];

export const TASK_STATES = ['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELING'] as const;
export type TaskState = (typeof TASK_STATES)[number];

export const JOB_STATES = ['PROCESSING', 'POLLING', 'COMPLETE', 'FAILED'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** What `cf app` and process stats show for an instance. DOWN: wanted, nobody runs it yet. */
export const INSTANCE_STATES = ['RUNNING', 'STARTING', 'CRASHED', 'DOWN'] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number];

/**
 * What an agent reports of a copy. STARTING: launched or about to be; RUNNING: healthy; CRASHED: ended, waits for its restart by the crash table (or for
 * ever after the 200th); STOPPING: withdrawn, draining; GONE: nothing is left of it, the row may go.
 */
export const COPY_STATES = ['STARTING', 'RUNNING', 'CRASHED', 'STOPPING', 'GONE'] as const;
export type CopyState = (typeof COPY_STATES)[number];

export const CELL_STATES = ['ACTIVE', 'DRAINING', 'LOST'] as const;
export type CellState = (typeof CELL_STATES)[number];

export const HEALTH_CHECK_TYPES = ['port', 'http', 'process'] as const;
export type HealthCheckType = (typeof HEALTH_CHECK_TYPES)[number];

export const ROLE_TYPES = [
  'organization_user',
  'organization_manager',
  'organization_billing_manager',
  'organization_auditor',
  'space_manager',
  'space_developer',
  'space_auditor',
  'space_supporter',
] as const;
export type RoleType = (typeof ROLE_TYPES)[number];
