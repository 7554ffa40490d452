/** Cards of apps from what the API lists, and what of them needs somebody. Pure. */
import type { App, Build, Deployment, Process, Route } from '../data/read.ts';
import { byNeed, type Health, healthOf } from './health.ts';

export interface Card {
  guid: string;
  name: string;
  spaceGuid: string;
  health: Health;
  /** `web`, or the first process with instances. */
  process: Process | null;
  /** States of its instances, by index. */
  states: string[];
  urls: string[];
}

export interface Overview {
  apps: readonly App[];
  processes: ReadonlyMap<string, readonly Process[]>;
  routes: readonly Route[];
  deployments: ReadonlyMap<string, Deployment>;
  builds: ReadonlyMap<string, readonly Build[]>;
}

export function cardsOf({ apps, processes, routes, deployments, builds }: Overview): Card[] {
  const urls = urlsByApp(routes);
  return apps
    .map(app => {
      const own = (processes.get(app.guid) ?? []).filter(({ instances }) => instances > 0);
      const shown = own.find(({ type }) => type === 'web') ?? own[0] ?? processes.get(app.guid)?.[0] ?? null;
      return {
        guid: app.guid,
        name: app.name,
        spaceGuid: app.relationships?.space?.data?.guid ?? '',
        process: shown,
        states: (shown?.process_instances ?? []).map(({ state }) => state),
        urls: urls.get(app.guid) ?? [],
        health: healthOf({
          state: app.state,
          processes: own.map(({ instances, process_instances }) => ({
            instances,
            states: (process_instances ?? []).map(({ state }) => state),
          })),
          buildState: builds.get(app.guid)?.[0]?.state ?? null,
          deploymentReason: reasonOf(deployments.get(app.guid) ?? null),
        }),
      };
    })
    .toSorted(byNeed);
}

/** Of a deployment that has not ended; else null. */
export function reasonOf(deployment: Deployment | null): string | null {
  if (deployment === null || deployment.status.value !== 'ACTIVE') return null;
  return deployment.status.reason ?? 'DEPLOYING';
}

function urlsByApp(routes: readonly Route[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const route of routes)
    for (const guid of new Set((route.destinations ?? []).map(({ app }) => app?.guid ?? '')))
      found.set(guid, [...(found.get(guid) ?? []), route.url]);
  return found;
}

/** Where a route leads, for a browser: the port is the platform's, unless the route names it. */
export function linkOf(url: string, { apps_scheme }: { apps_scheme: string }): string {
  return `${apps_scheme}://${url}`;
}
