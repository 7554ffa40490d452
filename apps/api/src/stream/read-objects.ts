/**
 * What the stream says of a batch of changes: each kind that they concern is read once, by a constant number of queries, however many changes and whoever
 * watches. Objects are as lists show them, with `ORIGIN` where the origin of their links goes.
 */
import { randomUUID } from 'node:crypto';
import type { StreamKind } from '@cupola/contract/v3/stream';
import type { ChangeKind } from '@cupola/store/schema';
import type { Change } from '@cupola/store/store';
import { presentApps } from '../apps/list-apps.ts';
import { presentBuilds } from '../builds/list-builds.ts';
import { presentCell, readCells } from '../cluster/read-cells.ts';
import { presentDeployments } from '../deployments/endpoints.ts';
import type { ApiDeps } from '../deps.ts';
import { presentEvent } from '../events/endpoints.ts';
import { withOrigin } from '../http/asked-from.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { NO_METADATA, readMetadata } from '../metadata/metadata.ts';
import { presentOrganization } from '../organizations/present-organization.ts';
import { among } from '../pages/filters.ts';
import { readHomes } from '../pages/homes.ts';
import type { PlacedList } from '../pages/scope.ts';
import { presentProcesses } from '../processes/list-processes.ts';
import { presentRoutes } from '../routes/list-routes.ts';
import { presentSpace } from '../spaces/present-space.ts';
import { presentTasks } from '../tasks/endpoints.ts';
import type { Happening } from './frames.ts';

/** Stands for the origin of links until it is known who gets a frame: no text of a user has it. */
export const ORIGIN = `https://${randomUUID()}.invalid`;

export interface StreamObject extends Pick<Happening, 'guid' | 'organizationGuid' | 'spaceGuid' | 'appGuid'> {
  object: unknown;
  /** It is there, and nobody is to know. */
  isHidden: boolean;
}
/** What is there of some guids: a constant number of queries for each chunk of them. */
type Reader = (deps: ApiDeps, guids: readonly string[]) => Promise<StreamObject[]>;

/** Kinds that are each one row, by the kind of their changes. */
const READERS = {
  organization: readOrganizations,
  space: readSpaces,
  app: async (deps, guids) => {
    const rows = await inChunks(guids, some =>
      db(deps).selectFrom('apps').selectAll().where(among('guid', some)).execute(),
    );
    return placed(deps, 'apps', { rows, objects: await presentApps(deps, rows), appOf: ({ guid }) => guid });
  },
  process: async (deps, guids) => {
    const rows = await inChunks(guids, some =>
      db(deps).selectFrom('processes').selectAll().where(among('guid', some)).execute(),
    );
    const objects = await presentProcesses(deps, rows, { secrets: 'hidden in list', embed: false });
    return placed(deps, 'processes', { rows, objects, appOf: ({ app_guid }) => app_guid });
  },
  build: async (deps, guids) => {
    const rows = await inChunks(guids, some =>
      db(deps).selectFrom('builds').selectAll().where(among('guid', some)).execute(),
    );
    return placed(deps, 'builds', {
      rows,
      objects: await presentBuilds(deps, rows),
      appOf: ({ app_guid }) => app_guid,
    });
  },
  deployment: async (deps, guids) => {
    const rows = await inChunks(guids, some =>
      db(deps).selectFrom('deployments').selectAll().where(among('guid', some)).execute(),
    );
    return placed(deps, 'deployments', {
      rows,
      objects: await presentDeployments(deps, rows),
      appOf: ({ app_guid }) => app_guid,
    });
  },
  task: async (deps, guids) => {
    const rows = await inChunks(guids, some =>
      db(deps).selectFrom('tasks').selectAll().where(among('guid', some)).execute(),
    );
    return placed(deps, 'tasks', {
      rows,
      objects: await presentTasks(deps, rows, false),
      appOf: ({ app_guid }) => app_guid,
    });
  },
  route: async (deps, guids) => {
    const rows = await inChunks(guids, some =>
      db(deps).selectFrom('routes').selectAll().where(among('guid', some)).execute(),
    );
    return placed(deps, 'routes', { rows, objects: await presentRoutes(deps, rows), appOf: () => null });
  },
  audit_event: readEvents,
  cell: async (deps, guids) =>
    (await readCells(db(deps), guids)).map(cell => ({
      ...{ guid: cell.cellId, organizationGuid: null, spaceGuid: null, appGuid: null, isHidden: false },
      object: presentCell(cell),
    })),
} as const satisfies Partial<Record<StreamKind & ChangeKind, Reader>>;
type RowKind = keyof typeof READERS;

const db = (deps: ApiDeps) => deps.store.read;

async function placed<Row extends { guid: string }>(
  deps: ApiDeps,
  list: Exclude<PlacedList, 'audit_events'>,
  { rows, objects, appOf }: { rows: readonly Row[]; objects: readonly unknown[]; appOf(row: Row): string | null },
): Promise<StreamObject[]> {
  const homes = await readHomes(
    db(deps),
    list,
    rows.map(({ guid }) => guid),
  );
  return rows.map((row, index) => {
    const { organizationGuid = null, spaceGuid = null } = homes.get(row.guid) ?? {};
    const object = objects[index];
    return { guid: row.guid, organizationGuid, spaceGuid, appGuid: appOf(row), object, isHidden: !homes.has(row.guid) };
  });
}

async function readOrganizations(deps: ApiDeps, guids: readonly string[]): Promise<StreamObject[]> {
  const rows = await inChunks(guids, some =>
    db(deps).selectFrom('organizations').selectAll().where(among('guid', some)).execute(),
  );
  const metadata = await readMetadata(db(deps), 'organization', guids);
  return rows.map(row => ({
    guid: row.guid,
    organizationGuid: row.guid,
    spaceGuid: null,
    appGuid: null,
    object: presentOrganization(row, metadata.get(row.guid) ?? NO_METADATA, deps.config.publicUrl),
    isHidden: false,
  }));
}

async function readSpaces(deps: ApiDeps, guids: readonly string[]): Promise<StreamObject[]> {
  const rows = await inChunks(guids, some =>
    db(deps).selectFrom('spaces').selectAll().where(among('guid', some)).execute(),
  );
  const metadata = await readMetadata(db(deps), 'space', guids);
  return rows.map(row => ({
    guid: row.guid,
    organizationGuid: row.organization_guid,
    spaceGuid: row.guid,
    appGuid: null,
    object: presentSpace(row, metadata.get(row.guid) ?? NO_METADATA, deps.config.publicUrl),
    isHidden: false,
  }));
}

async function readEvents(deps: ApiDeps, guids: readonly string[]): Promise<StreamObject[]> {
  const rows = await inChunks(guids, some =>
    db(deps).selectFrom('audit_events').selectAll().where(among('guid', some)).execute(),
  );
  return rows.map(row => ({
    guid: row.guid,
    organizationGuid: row.organization_guid,
    spaceGuid: row.space_guid,
    appGuid: row.target_type === 'app' ? row.target_guid : null,
    object: presentEvent(row, deps.config.publicUrl),
    isHidden: false,
  }));
}

/** What became of the things that these changes are about, each at its last revision, but instances (instances.ts). */
export async function readHappenings(given: ApiDeps, changes: readonly Change[]): Promise<Happening[]> {
  const deps = withOrigin(given, ORIGIN);
  const happenings: Happening[] = [];
  for (const kind of Object.keys(READERS) as RowKind[]) {
    const last = new Map(changes.filter(change => change.kind === kind).map(change => [change.guid, change]));
    if (last.size === 0) continue;
    const found = new Map((await READERS[kind](deps, [...last.keys()])).map(one => [one.guid, one]));
    for (const change of last.values()) {
      const happening = happeningOf(kind, change, found.get(change.guid));
      if (happening !== null) happenings.push(happening);
    }
  }
  return happenings;
}

function happeningOf(kind: RowKind, change: Change, found: StreamObject | undefined): Happening | null {
  const { guid, revision, organizationGuid, spaceGuid } = change;
  if (found === undefined) return { kind, guid, revision, organizationGuid, spaceGuid, appGuid: null, json: null };
  const { object, isHidden, ...about } = found;
  return isHidden ? null : { kind, revision, ...about, json: JSON.stringify(object) };
}
