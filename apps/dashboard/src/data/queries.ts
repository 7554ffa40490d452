/** What is asked of the API, once for each thing; pages name what they show, TanStack Query keeps it. Keys begin with the kind, so that news of a kind finds them. */
import { clusterAnswer } from '@cupola/contract/v3/cluster';
import { routeCertificates } from '@cupola/contract/v3/route-certificate';
import { type QueryClient, queryOptions } from '@tanstack/react-query';
import type { z } from 'zod';
import { ApiError, fetchSafely, read, type Schema, useCsrf, withQuery } from './http.ts';
import * as reads from './read.ts';

const PAGE_MAX = '5000';

/** Every resource of a list, page after page. */
async function all<T extends z.ZodType>(resource: T, path: string, signal: AbortSignal) {
  const schema = reads.listOf(resource);
  const first = await read(schema, path, { signal });
  const resources = [...first.resources];
  for (let next = first.pagination.next; next; ) {
    const page = await read(schema, next.href, { signal });
    resources.push(...page.resources);
    next = page.pagination.next;
  }
  return { resources, included: first.included };
}

const newest = async <T extends z.ZodType>(resource: T, path: string, signal: AbortSignal) => {
  const page = await read(reads.listOf(resource), path, { signal });
  return page.resources[0] ?? null;
};

/** Null where the asker may not see it, or there is none. */
async function orNull<T>(schema: Schema<T>, path: string, signal: AbortSignal): Promise<T | null> {
  try {
    return await read(schema, path, { signal });
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 403)) return null;
    throw error;
  }
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async ({ signal }) => {
    const response = await fetchSafely('/dashboard/session', { signal, headers: { accept: 'application/json' } });
    if (!response.ok) throw new ApiError(response.status, 'Nobody has signed in here.');
    const session = reads.session.parse(await response.json());
    useCsrf(session.csrf_token);
    return session;
  },
});

export const spacesQuery = queryOptions({
  queryKey: ['spaces'],
  queryFn: async ({ signal }) => {
    const { resources, included } = await all(
      reads.readSpace,
      withQuery('/v3/spaces', { include: 'organization', per_page: PAGE_MAX, order_by: 'name' }),
      signal,
    );
    const organizations = new Map((included?.organizations ?? []).map(({ guid, name }) => [guid, name]));
    return resources.map(space => ({
      guid: space.guid,
      name: space.name,
      organization: organizations.get(space.relationships?.organization?.data?.guid ?? '') ?? '',
      organizationGuid: space.relationships?.organization?.data?.guid ?? '',
    }));
  },
});

/** The platform itself; null for who is no admin. */
export const clusterQuery = queryOptions({
  queryKey: ['cluster'],
  queryFn: ({ signal }) => orNull(clusterAnswer, '/v3/cluster', signal),
});

/** Apps of a space, or of all that one may see, with what their cards show. */
export const overviewQuery = (spaceGuid: string | null) =>
  queryOptions({
    queryKey: ['overview', spaceGuid],
    queryFn: async ({ signal }) => {
      const within = { space_guids: spaceGuid, per_page: PAGE_MAX };
      const [apps, processes, routes, deployments, builds] = await Promise.all([
        all(reads.app, withQuery('/v3/apps', { ...within, order_by: 'name' }), signal),
        all(reads.process, withQuery('/v3/processes', { ...within, embed: 'process_instances' }), signal),
        all(reads.route, withQuery('/v3/routes', within), signal),
        all(reads.deployment, withQuery('/v3/deployments', { status_values: 'ACTIVE', per_page: PAGE_MAX }), signal),
        // Of each app the newest counts; those of the last days are among these.
        read(reads.listOf(reads.buildInList), withQuery('/v3/builds', { order_by: '-created_at', per_page: '500' }), {
          signal,
        }),
      ]);
      return {
        apps: apps.resources,
        processes: Map.groupBy(processes.resources, one => one.relationships?.app?.data?.guid ?? ''),
        routes: routes.resources,
        deployments: new Map(deployments.resources.map(one => [one.relationships?.app?.data?.guid ?? '', one])),
        builds: Map.groupBy(builds.resources, one => one.relationships?.app?.data?.guid ?? ''),
      };
    },
  });

export const appQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid],
    queryFn: ({ signal }) =>
      orNull(reads.app, withQuery(`/v3/apps/${guid}`, { include: 'space.organization' }), signal),
  });

export const processesQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'processes'],
    // What instances use is read anew with each look, and when the stream says that it was measured.
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const { resources } = await all(reads.process, `/v3/apps/${guid}/processes?per_page=${PAGE_MAX}`, signal);
      const shown = resources.filter(({ type, instances }) => type === 'web' || instances > 0);
      const answers = await Promise.all(
        (shown.length === 0 ? resources : shown).map(async process => ({
          process,
          stats: await orNull(reads.stats, `/v3/processes/${process.guid}/stats`, signal),
        })),
      );
      return answers.flatMap(({ process, stats }) => {
        // Gone since it was listed: a deployment has ended.
        if (stats === null) return [];
        // Ages grow by themselves: from when on is what is kept.
        const instances = stats.resources.map(one => ({ ...one, since: Date.now() - (one.uptime ?? 0) * 1_000 }));
        return [{ process, instances }];
      });
    },
  });
/** With its command, which lists leave out. Below those of its app: it is read again with them. */
export const processQuery = (appGuid: string, guid: string) =>
  queryOptions({
    queryKey: ['app', appGuid, 'settings', guid],
    queryFn: ({ signal }) => read(reads.process, `/v3/processes/${guid}`, { signal }),
  });
export type ShownInstance = reads.Stats[number] & { since: number };
export type ShownProcess = { process: reads.Process; instances: ShownInstance[] };

export const routesQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'routes'],
    queryFn: async ({ signal }) =>
      (await all(reads.route, `/v3/apps/${guid}/routes?per_page=${PAGE_MAX}`, signal)).resources,
  });

/** By which certificate each host of an app is served; read with each look, and when its routes have changed. */
export const certificatesQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'routes', 'certificates'],
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const { https, resources } = await read(routeCertificates, `/v3/apps/${guid}/route_certificates`, { signal });
      return { https, byHost: new Map(resources.map(({ host, certificate }) => [host, certificate])) };
    },
  });
export type Certificates = Awaited<ReturnType<NonNullable<ReturnType<typeof certificatesQuery>['queryFn']>>>;

export const buildQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'build'],
    queryFn: ({ signal }) =>
      newest(reads.build, withQuery('/v3/builds', { app_guids: guid, order_by: '-created_at', per_page: '1' }), signal),
  });

export const deploymentQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'deployment'],
    queryFn: ({ signal }) =>
      newest(
        reads.deployment,
        withQuery('/v3/deployments', { app_guids: guid, order_by: '-created_at', per_page: '1' }),
        signal,
      ),
  });

export const dropletQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'droplet'],
    queryFn: ({ signal }) => orNull(reads.droplet, `/v3/apps/${guid}/droplets/current`, signal),
  });

export const revisionsQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'revisions'],
    queryFn: async ({ signal }) => {
      const [kept, deployed] = await Promise.all([
        read(reads.listOf(reads.revision), `/v3/apps/${guid}/revisions?order_by=-created_at&per_page=10`, { signal }),
        read(reads.listOf(reads.revision), `/v3/apps/${guid}/revisions/deployed`, { signal }),
      ]);
      return { revisions: kept.resources, deployed: new Set(deployed.resources.map(one => one.guid)) };
    },
  });

/** Variables that a revision was made with; null for whom the API does not show them. They never change. */
export const revisionVariablesQuery = (guid: string) =>
  queryOptions({
    queryKey: ['revision', guid, 'variables'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) =>
      (await orNull(reads.variables, `/v3/revisions/${guid}/environment_variables`, signal))?.var ?? null,
  });

export const eventsQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'events'],
    queryFn: async ({ signal }) =>
      (
        await read(
          reads.listOf(reads.event),
          withQuery('/v3/audit_events', { target_guids: guid, order_by: '-created_at', per_page: '30' }),
          { signal },
        )
      ).resources,
  });

export const domainsQuery = queryOptions({
  queryKey: ['domains'],
  queryFn: async ({ signal }) => (await all(reads.domain, `/v3/domains?per_page=${PAGE_MAX}`, signal)).resources,
});

export const tasksQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'tasks'],
    queryFn: async ({ signal }) =>
      (await read(reads.listOf(reads.task), `/v3/apps/${guid}/tasks?order_by=-created_at&per_page=10`, { signal }))
        .resources,
  });

/** Services of a space, and those of the bindings to services that `filter` lets through. Read anew with each look, and when an event says that one has changed. */
async function readServices(spaceGuid: string, filter: Record<string, string>, signal: AbortSignal) {
  const [instances, bindings] = await Promise.all([
    all(
      reads.serviceInstance,
      withQuery('/v3/service_instances', { space_guids: spaceGuid, per_page: PAGE_MAX }),
      signal,
    ),
    all(reads.serviceBinding, withQuery('/v3/service_credential_bindings', { ...filter, per_page: PAGE_MAX }), signal),
  ]);
  return { instances: instances.resources, bindings: bindings.resources };
}

/** Services of the app's space, each with the binding that the app has to it. */
export const servicesQuery = (guid: string, spaceGuid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'services'],
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const { instances, bindings } = await readServices(spaceGuid, { app_guids: guid }, signal);
      const bound = new Map(bindings.map(one => [one.relationships?.service_instance?.data?.guid ?? '', one.guid]));
      return instances.map(one => ({ guid: one.guid, name: one.name, binding: bound.get(one.guid) ?? null }));
    },
  });

/** Services of a space and which of its apps are bound to them: for its map. */
export const spaceServicesQuery = (spaceGuid: string) =>
  queryOptions({
    queryKey: ['space', spaceGuid, 'services'],
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const { instances, bindings } = await readServices(spaceGuid, { type: 'app' }, signal);
      return {
        instances: instances.map(({ guid, name }) => ({ guid, name })),
        bindings: bindings.map(({ relationships }) => ({
          appGuid: relationships?.app?.data?.guid ?? '',
          serviceGuid: relationships?.service_instance?.data?.guid ?? '',
        })),
      };
    },
  });

/** What the quotas above an app allow, and what is used of it already. Levels without a quota, or that one may not see, are left out. */
export const quotaQuery = (guid: string, spaceGuid: string, organizationGuid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'quota'],
    queryFn: async ({ signal }) => {
      const level = async (kind: 'space' | 'organization', own: string) => {
        const [there, used] = await Promise.all([
          orNull(reads.withQuota, `/v3/${kind}s/${own}`, signal),
          orNull(reads.usage, `/v3/${kind}s/${own}/usage_summary`, signal),
        ]);
        const quotaGuid = there?.relationships?.quota?.data?.guid;
        if (quotaGuid === undefined || used === null) return [];
        const quota = await orNull(reads.quota, `/v3/${kind}_quotas/${quotaGuid}`, signal);
        return quota === null ? [] : [{ kind, quota, used: used.usage_summary }];
      };
      return (await Promise.all([level('space', spaceGuid), level('organization', organizationGuid)])).flat();
    },
  });

/** Names and values of what an app finds: the user's own variables, and the platform's; null for whom the API does not show them. */
export const environmentQuery = (guid: string) =>
  queryOptions({
    queryKey: ['app', guid, 'environment'],
    queryFn: async ({ signal }) => {
      const found = await orNull(reads.environment, `/v3/apps/${guid}/env`, signal);
      if (found === null) return null;
      const ofPlatform = { ...found.running_env_json, ...found.application_env_json, ...found.system_env_json };
      return { own: byName(found.environment_variables), ofPlatform: byName(ofPlatform) };
    },
  });

/** What holds more than a text is shown as the JSON that the app finds. */
function byName(variables: Readonly<Record<string, unknown>>): Array<[name: string, value: string]> {
  return Object.entries(variables)
    .map(([name, value]): [string, string] => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value, null, 2),
    ])
    .toSorted(([a], [b]) => a.localeCompare(b));
}

/** All but who has signed in, and variables, of an app now or of a revision: each look at these is on record. */
export function mayChange({ queryKey }: { queryKey: readonly unknown[] }): boolean {
  return queryKey[0] !== 'session' && queryKey[0] !== 'revision' && queryKey[2] !== 'environment';
}

/** Everything shown of an app is read anew. */
export function refreshApp(client: QueryClient, guid: string): Promise<unknown> {
  return Promise.all([
    client.invalidateQueries({ queryKey: ['app', guid] }),
    client.invalidateQueries({ queryKey: ['overview'] }),
  ]);
}
