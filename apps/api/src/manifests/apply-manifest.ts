/**
 * Applies one application of a manifest inside a mutation (CF: app_find_or_create_skeleton.rb, app_apply_manifest.rb): made when it is not there, its
 * processes set and sized, staging, metadata, routes and environment merged. What it says of memory or commands is run at the next start; instances count
 * at once.
 */
import { randomUUID } from 'node:crypto';
import { InvalidRequestError, UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { stringify } from 'yaml';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { type AppHome, createApp, updateAppRow } from '../apps/change-app.ts';
import { mergeVariables, openVariables, sealVariables } from '../apps/environment.ts';
import { type AppFeature, featureRow } from '../apps/features.ts';
import { findApp, type ScopedApp } from '../apps/find-app.ts';
import { checkBuildpacks } from '../apps/lifecycle.ts';
import { HIDDEN, rubyText } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { writeMetadata } from '../metadata/metadata.ts';
import {
  createProcess,
  type ProcessSettings,
  processOfType,
  scaleProcess,
  updateProcessSettings,
} from '../processes/change-process.ts';
import { checkQuota, quotaUse } from '../processes/quota.ts';
import { mapDefaultRoute, mapManifestRoute, type RouteActor, unmapAll } from '../routes/map-routes.ts';
import { fixRunSpecs } from '../run-specs/fix.ts';
import { createSidecar, sidecarsOf, updateSidecar } from '../sidecars/change-sidecar.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { bindManifestServices } from './bind-services.ts';
import type { ManifestApp } from './manifest-app.ts';
import type { ManifestProcess } from './manifest-processes.ts';

export interface Applied {
  app: ScopedApp;
  /** For the app's own log. */
  lines: string[];
  /** For the job that tells of it. */
  warnings: string[];
}

interface Context {
  mutation: Mutation;
  deps: Pick<ApiDeps, 'sealer' | 'config'>;
  actor: Actor;
  /** That it is for; null: whichever has its name, made if there is none. */
  onlyApp: string | null;
  /** What is said while it is applied. */
  lines: string[];
}

const TRIGGERED = { manifest_triggered: true } as const;
/** Of the manifest's text in events and log lines: a row is no place for a megabyte (ours). */
const AUDIT_CHARS_MAX = 16 * 1024;

/** @throws UnprocessableError and InvalidRequestError that begin with `For application 'NAME': `. */
export async function applyManifestApp(
  mutation: Mutation,
  deps: Context['deps'],
  { actor, space, manifest, onlyApp }: { actor: Actor; space: AppHome; manifest: ManifestApp; onlyApp: string | null },
): Promise<Applied> {
  const context: Context = { mutation, deps, actor, onlyApp, lines: [] };
  try {
    return await apply(context, space, manifest);
  } catch (error) {
    const text = error instanceof Error ? `For application '${manifest.name}': ${error.message}` : '';
    if (error instanceof UnprocessableError) throw new UnprocessableError(text, error.title);
    if (error instanceof InvalidRequestError) throw new InvalidRequestError(text, error.title);
    throw error;
  }
}

async function apply(context: Context, space: AppHome, manifest: ManifestApp): Promise<Applied> {
  const { mutation, lines } = context;
  if (manifest.docker !== null) await requireFlag(mutation.db, context.actor, 'diego_docker');
  const staging = manifest.stack === null ? null : await resolveStack(mutation.db, manifest.stack);
  await checkBuildpacks(mutation.db, manifest.buildpacks ?? []);
  const before = await quotaUse(mutation.db, space.organization_guid);
  let app = await findOrCreate(context, space, manifest);
  const text = stringify({ applications: [manifest.audit] }).slice(0, AUDIT_CHARS_MAX);
  await recordAppEvent(mutation, {
    actor: context.actor,
    app,
    type: 'apply_manifest',
    data: { request: { manifest: `---\n${text}` } },
  });
  lines.push(`Applied manifest to app with guid ${app.guid} (---\n${text})`);

  for (const process of manifest.processes) await applyProcess(context, app, process);
  await applySidecars(context, app, manifest);
  app = await applySettings(context, app, manifest, staging?.stack ?? null);
  await applyRoutes(context, app, manifest);
  await bindManifestServices(mutation, context.actor, app, manifest.services);
  // A type that is new to a started app has never been fixed; all others run on as they are.
  if (app.state === 'STARTED') await fixRunSpecs(mutation, context.deps, app.guid, { only: 'unfixed' });
  await checkQuota(mutation.db, { organizationGuid: app.organization_guid, appGuid: app.guid, before });
  return { app, lines, warnings: staging?.warnings ?? [] };
}

async function findOrCreate(context: Context, space: AppHome, manifest: ManifestApp): Promise<ScopedApp> {
  const { mutation, deps, actor, onlyApp, lines } = context;
  const present = await mutation.db
    .selectFrom('apps')
    .select('guid')
    .where('space_guid', '=', space.guid)
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', eb.fn<string>('lower', [eb.val(manifest.name)])))
    .executeTakeFirst();
  if (onlyApp !== null && present?.guid !== onlyApp)
    throw new UnprocessableError('it was deleted or renamed meanwhile. Push again.');
  const found = present === undefined ? undefined : await findApp(mutation.db, present.guid);
  if (found !== undefined) {
    requireSameLifecycle(found, manifest);
    return found;
  }
  const app = await createApp(mutation, deps, space, {
    name: manifest.name,
    type: manifest.docker === null ? 'buildpack' : 'docker',
    buildpacks: manifest.buildpacks ?? [],
    stack: (await resolveStack(mutation.db, manifest.stack)).stack,
    environment: {},
  });
  const request = { name: app.name, relationships: { space: { data: { guid: space.guid } } } };
  await recordAppEvent(mutation, { actor, app, type: 'create', data: { request, ...TRIGGERED } });
  lines.push(`Created app with guid ${app.guid}`);
  return app;
}

/** @throws UnprocessableError in CF's words (space_manifests_controller.rb): how an app is staged is said once. */
function requireSameLifecycle({ lifecycle_type }: ScopedApp, { docker, buildpacks, audit }: ManifestApp): void {
  if (lifecycle_type === 'docker' && buildpacks !== null)
    throw new UnprocessableError(
      `${'buildpacks' in audit ? 'Buildpacks' : 'Buildpack'} cannot be configured for a docker lifecycle app.`,
    );
  if (lifecycle_type === 'buildpack' && docker !== null)
    throw new UnprocessableError('Docker cannot be configured for a buildpack lifecycle app.');
}

async function applyProcess(context: Context, app: ScopedApp, asked: ManifestProcess): Promise<void> {
  const { mutation, actor, lines } = context;
  let process = await processOfType(mutation.db, app.guid, asked.type);
  if (process === undefined) {
    process = await createProcess(mutation, app, { guid: randomUUID(), type: asked.type });
    const data = { process_guid: process.guid, process_type: process.type, ...TRIGGERED };
    await recordAppEvent(mutation, { actor, app, type: 'process.create', data });
    lines.push(`Added process: "${process.type}"`);
  }
  const facts = { process_guid: process.guid, process_type: process.type };
  if (Object.keys(asked.settings).length > 0) {
    process = await updateProcessSettings(mutation, { app, process, settings: asked.settings });
    const request = auditedSettings(asked.settings);
    await recordAppEvent(mutation, { actor, app, type: 'process.update', data: { ...facts, request, ...TRIGGERED } });
    lines.push(`Updating process: "${process.type}"`);
  }
  if (Object.keys(asked.size).length > 0) {
    await scaleProcess(mutation, { app, process, size: asked.size });
    const request = {
      ...(asked.size.instances === undefined ? {} : { instances: asked.size.instances }),
      ...(asked.size.memoryMb === undefined ? {} : { memory_in_mb: asked.size.memoryMb }),
      ...(asked.size.diskMb === undefined ? {} : { disk_in_mb: asked.size.diskMb }),
      ...(asked.size.logRateBytes === undefined ? {} : { log_rate_limit_in_bytes_per_second: asked.size.logRateBytes }),
    };
    await recordAppEvent(mutation, { actor, app, type: 'process.scale', data: { ...facts, request, ...TRIGGERED } });
    lines.push(`Scaling process: "${process.type}"`);
  }
}

/** Those that it names are made or changed; others stay, as in CF. */
async function applySidecars({ mutation }: Context, app: ScopedApp, { sidecars }: ManifestApp): Promise<void> {
  for (const sidecar of sidecars) {
    const present = (await sidecarsOf(mutation.db, app.guid)).find(({ name }) => name === sidecar.name);
    if (present === undefined) await createSidecar(mutation, app.guid, sidecar);
    else await updateSidecar(mutation, present, sidecar);
  }
}

const AUDIT_KEYS: Record<keyof ProcessSettings, string> = {
  command: 'command',
  healthCheckType: 'health_check_type',
  healthCheckEndpoint: 'health_check_http_endpoint',
  healthCheckTimeoutS: 'timeout',
  healthCheckInvocationTimeoutS: 'health_check_invocation_timeout',
  healthCheckIntervalS: 'health_check_interval',
  readinessType: 'readiness_health_check_type',
  readinessEndpoint: 'readiness_health_check_http_endpoint',
  readinessInvocationTimeoutS: 'readiness_health_check_invocation_timeout',
  readinessIntervalS: 'readiness_health_check_interval',
};

/** In the manifest's own keys, the command hidden. */
function auditedSettings(settings: ProcessSettings): Record<string, unknown> {
  const entries = Object.entries(settings).map(([key, value]) => [AUDIT_KEYS[key as keyof ProcessSettings], value]);
  return { ...Object.fromEntries(entries), ...(settings.command === undefined ? {} : { command: HIDDEN }) };
}

/** Staging, features, metadata and environment: one update, one event. */
async function applySettings(
  context: Context,
  app: ScopedApp,
  manifest: ManifestApp,
  stack: string | null,
): Promise<ScopedApp> {
  const { mutation, deps, actor, lines } = context;
  const features = Object.entries(manifest.features).map(([name, on]) => featureRow(name as AppFeature, on));
  const env = manifest.env;
  const updated = await updateAppRow(mutation, app, {
    ...(manifest.buildpacks === null ? {} : { buildpacks_json: JSON.stringify(manifest.buildpacks) }),
    ...(stack === null ? {} : { stack }),
    ...Object.assign({}, ...features),
    ...(env === null
      ? {}
      : {
          environment_sealed: sealVariables(
            deps.sealer,
            mergeVariables(openVariables(deps.sealer, app.environment_sealed), env),
          ),
        }),
  });
  if (manifest.metadata !== null) await writeMetadata(mutation, 'app', app.guid, manifest.metadata);
  const request = {
    ...(manifest.buildpacks === null && stack === null
      ? {}
      : { lifecycle: { data: { buildpacks: manifest.buildpacks, stack } } }),
    ...(manifest.metadata === null ? {} : { metadata: manifest.metadata }),
    ...(env === null ? {} : { environment_variables: HIDDEN }),
  };
  await recordAppEvent(mutation, { actor, app, type: 'update', data: { request, ...TRIGGERED } });
  lines.push(`Updated app with guid ${app.guid} (${rubyText(request)})`);
  return updated;
}

async function applyRoutes({ mutation, deps, actor }: Context, app: ScopedApp, manifest: ManifestApp): Promise<void> {
  const by: RouteActor = { actor, config: deps.config, manifestTriggered: true };
  const { noRoute, list, randomRoute, defaultRoute } = manifest.routes;
  if (noRoute) return unmapAll(mutation, app, by);
  if (list !== null) {
    for (const route of list) await mapManifestRoute(mutation, app, route, by);
    return;
  }
  if (randomRoute) return mapDefaultRoute(mutation, app, 'random', by);
  if (defaultRoute) return mapDefaultRoute(mutation, app, 'default', by);
}
