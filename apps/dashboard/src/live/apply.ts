/**
 * What the live stream tells, put into what this page has read. Pure: what was there and a frame in, what is there now out; the same value comes back where
 * a frame changes nothing, so that nothing is drawn anew.
 */
import { type StreamFrame, type StreamInstances, streamInstances } from '@cupola/contract/v3/stream';
import type { z } from 'zod';
import type { Overview } from '../apps/overview.ts';
import type { ShownInstance, ShownProcess } from '../data/queries.ts';
import * as reads from '../data/read.ts';

/** A frame about a thing. */
export type Change = Extract<StreamFrame, { type: 'changed' | 'gone' }>;

/** The object of a frame, as this page reads it; null when it is gone, or has another shape. */
export function objectOf<T extends z.ZodType>(schema: T, change: Change): z.output<T> | null {
  return change.type === 'gone' ? null : (schema.safeParse(change.object).data ?? null);
}

/** @param spaceGuid of whose apps this is; null: of all. */
export function applyToOverview(overview: Overview, change: Change, spaceGuid: string | null): Overview {
  if (spaceGuid !== null && change.space_guid !== null && change.space_guid !== spaceGuid) return overview;
  const { guid } = change;
  switch (change.kind) {
    case 'app': {
      const apps = placed(overview.apps, guid, objectOf(reads.app, change));
      return { ...overview, apps: apps.toSorted((a, b) => a.name.localeCompare(b.name)) };
    }
    case 'route':
      return { ...overview, routes: placed(overview.routes, guid, objectOf(reads.route, change)) };
    case 'process':
      return { ...overview, processes: withProcess(overview.processes, change) };
    case 'instances': {
      const told = objectOf(streamInstances, change);
      return told === null ? overview : { ...overview, processes: withInstances(overview.processes, told) };
    }
    case 'deployment': {
      const deployment = objectOf(reads.deployment, change);
      const appGuid = appOf(change);
      if (appGuid === null) return overview;
      const deployments = new Map(overview.deployments);
      if (deployment !== null && deployment.status.value === 'ACTIVE') deployments.set(appGuid, deployment);
      else if (deployments.get(appGuid)?.guid === guid) deployments.delete(appGuid);
      return { ...overview, deployments };
    }
    case 'build': {
      const build = objectOf(reads.build, change);
      const appGuid = appOf(change);
      if (appGuid === null) return overview;
      const builds = new Map(overview.builds);
      builds.set(appGuid, newestFirst(placed(builds.get(appGuid) ?? [], guid, build)));
      return { ...overview, builds };
    }
    default:
      return overview;
  }
}

const appOf = (change: Change): string | null => (change.type === 'changed' ? change.app_guid : null);

/** `list` with the thing of this guid in its place, or at the end, or without it. */
function placed<T extends { guid: string }>(list: readonly T[], guid: string, thing: T | null): T[] {
  if (thing === null) return list.filter(one => one.guid !== guid);
  return list.some(one => one.guid === guid) ? list.map(one => (one.guid === guid ? thing : one)) : [...list, thing];
}

function newestFirst<T extends { created_at: string }>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => b.created_at.localeCompare(a.created_at));
}

/** A process that is gone says no more whose it was. */
function withProcess(processes: Overview['processes'], change: Change): Overview['processes'] {
  const next = new Map(processes);
  const process = objectOf(reads.process, change);
  const appGuid = appOf(change);
  if (process === null || appGuid === null) {
    for (const [app, list] of next)
      if (list.some(({ guid }) => guid === change.guid)) next.set(app, placed(list, change.guid, null));
    return next;
  }
  const known = next.get(appGuid)?.find(({ guid }) => guid === change.guid);
  const kept = known?.process_instances === undefined ? {} : { process_instances: known.process_instances };
  next.set(appGuid, placed(next.get(appGuid) ?? [], change.guid, { ...kept, ...process }));
  return next;
}

function withInstances(processes: Overview['processes'], told: StreamInstances): Overview['processes'] {
  const list = processes.get(told.app_guid);
  if (list === undefined) return processes;
  const process_instances = told.instances.map(({ index, state }) => ({ index, state }));
  return new Map(processes).set(
    told.app_guid,
    list.map(one => (one.guid === told.process_guid ? { ...one, process_instances } : one)),
  );
}

/** What runs of an app: states come by the stream; what they use stays as it was read, for the instances that are still the same. */
export function applyToProcesses(shown: readonly ShownProcess[], change: Change): ShownProcess[] {
  if (change.kind === 'process') {
    const process = objectOf(reads.process, change);
    if (process === null) return shown.filter(one => one.process.guid !== change.guid);
    return shown.map(one =>
      one.process.guid === change.guid ? { ...one, process: { ...one.process, ...process } } : one,
    );
  }
  const told = objectOf(streamInstances, change);
  if (told === null) return [...shown];
  return shown.map(one =>
    one.process.guid === told.process_guid ? { ...one, instances: instancesOf(one.instances, told) } : one,
  );
}

function instancesOf(known: readonly ShownInstance[], told: StreamInstances): ShownInstance[] {
  return told.instances.map(({ index, state, since, details, instance_guid, routable }) => {
    const before = known.find(one => one.index === index);
    const isSame = before !== undefined && before.instance_guid === instance_guid;
    return {
      ...(isSame ? before : {}),
      index,
      state,
      details,
      instance_guid,
      routable,
      since: since === null ? (before?.since ?? 0) : Date.parse(since),
    };
  });
}
