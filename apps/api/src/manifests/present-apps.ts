/** Apps as manifests, with all that takes: a constant number of queries, however many they are. */
import type { AppsTable, Database } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { openVariables } from '../apps/environment.ts';
import type { ApiDeps } from '../deps.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { readMetadata } from '../metadata/metadata.ts';
import { among } from '../pages/filters.ts';
import { presentManifestApp } from './present-manifest.ts';

type App = Selectable<AppsTable>;

/** @returns each app as its entry of a manifest, by its guid. */
export async function presentAppsAsManifests(
  { store, sealer }: Pick<ApiDeps, 'store' | 'sealer'>,
  apps: readonly App[],
): Promise<Map<string, Record<string, unknown>>> {
  const db = store.read;
  const guids = apps.map(app => app.guid);
  const metadata = await readMetadata(db, 'app', guids);
  const rows = await inChunks(guids, some =>
    db.selectFrom('processes').selectAll().where(among('app_guid', some)).execute(),
  );
  const processes = Map.groupBy(newestOfEachType(rows), row => row.app_guid);
  const routes = await readRoutes(db, guids);
  const services = await readServices(db, guids);
  const sidecarRows = await inChunks(guids, some =>
    db.selectFrom('sidecars').selectAll().where(among('app_guid', some)).orderBy('name').execute(),
  );
  const sidecars = Map.groupBy(sidecarRows, row => row.app_guid);
  const images = await readImages(db, guids);
  return new Map(
    apps.map(app => {
      const facts = {
        app,
        env: openVariables(sealer, app.environment_sealed),
        metadata: metadata.get(app.guid) ?? { labels: {}, annotations: {} },
        routes: routes.get(app.guid) ?? [],
        processes: processes.get(app.guid) ?? [],
        sidecars: sidecars.get(app.guid) ?? [],
        services: (services.get(app.guid) ?? []).map(row => row.name),
        docker: images.get(app.guid) ?? {},
      };
      return [app.guid, presentManifestApp(facts)];
    }),
  );
}

/** While a deployment is on its way there are two of `web`; the newer one is what the app will be. */
function newestOfEachType<Row extends { app_guid: string; type: string; created_at: number }>(rows: Row[]): Row[] {
  const newest = new Map<string, Row>();
  for (const row of rows) {
    const key = `${row.app_guid} ${row.type}`;
    if ((newest.get(key)?.created_at ?? -1) < row.created_at) newest.set(key, row);
  }
  return [...newest.values()];
}

async function readRoutes(db: Kysely<Database>, appGuids: readonly string[]) {
  const rows = await inChunks(appGuids, some =>
    db
      .selectFrom('route_destinations')
      .innerJoin('routes', 'routes.guid', 'route_destinations.route_guid')
      .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
      .where(among('route_destinations.app_guid', some))
      .where('route_destinations.process_type', '=', 'web')
      .select([
        'route_destinations.app_guid',
        'route_destinations.protocol',
        'routes.host',
        'routes.path',
        'routes.options_json',
        'domains.name as domain_name',
      ])
      .execute(),
  );
  return Map.groupBy(rows, row => row.app_guid);
}

async function readImages(db: Kysely<Database>, appGuids: readonly string[]) {
  const rows = await inChunks(appGuids, some =>
    db
      .selectFrom('apps')
      .innerJoin('droplets', 'droplets.guid', 'apps.current_droplet_guid')
      .innerJoin('packages', 'packages.guid', 'droplets.package_guid')
      .where(among('apps.guid', some))
      .where('packages.docker_image', 'is not', null)
      .select(['apps.guid', 'packages.docker_image', 'packages.docker_username'])
      .execute(),
  );
  return new Map(
    rows.map(({ guid, docker_image, docker_username }) => [
      guid,
      {
        ...(docker_image === null ? {} : { image: docker_image }),
        ...(docker_username === null ? {} : { username: docker_username }),
      },
    ]),
  );
}

async function readServices(db: Kysely<Database>, appGuids: readonly string[]) {
  const rows = await inChunks(appGuids, some =>
    db
      .selectFrom('service_bindings')
      .innerJoin('service_instances', 'service_instances.guid', 'service_bindings.service_instance_guid')
      .where(among('service_bindings.app_guid', some))
      .select(['service_bindings.app_guid', 'service_instances.name'])
      .execute(),
  );
  return Map.groupBy(rows, row => row.app_guid);
}
