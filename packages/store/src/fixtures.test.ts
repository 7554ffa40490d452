import { describe, expect, test } from 'vitest';
import {
  aBuild,
  aCell,
  aCopy,
  aDeployment,
  aDestination,
  aDomain,
  aDroplet,
  anApp,
  anOrganization,
  aPackage,
  aPlacement,
  aProcess,
  aQuota,
  aRevision,
  aRole,
  aRoute,
  aRunSpec,
  aSidecar,
  aSpace,
  aTask,
  aUser,
  testSealer,
} from './fixtures.ts';
import { openTestStore, type TestStore } from './test-store.ts';

describe('builders', () => {
  test.each([
    ['users', aUser],
    ['organization_quotas', aQuota],
    ['organizations', anOrganization],
    ['spaces', aSpace],
    ['roles', aRole],
    ['domains', aDomain],
    ['apps', anApp],
    ['processes', aProcess],
    ['packages', aPackage],
    ['builds', aBuild],
    ['droplets', aDroplet],
    ['run_specs', aRunSpec],
    ['routes', aRoute],
    ['route_destinations', aDestination],
    ['cells', aCell],
    ['placements', aPlacement],
    ['copies', aCopy],
    ['deployments', aDeployment],
    ['revisions', aRevision],
    ['tasks', aTask],
    ['sidecars', aSidecar],
  ] as const)('a row of %s is inserted as it is returned, twice without a clash', async (table, build) => {
    await using test = await openTestStore();
    const rows = [await build(test.store), await build(test.store)];
    const found = await test.store.read.selectFrom(table).selectAll().execute();
    expect(found).toEqual(expect.arrayContaining(rows));
  });

  test('aDestination() makes the route, the domain, the app and all that is above them', async () => {
    await using test = await openTestStore();
    const destination = await aDestination(test.store);
    const found = await test.store.read
      .selectFrom('route_destinations')
      .innerJoin('routes', 'routes.guid', 'route_guid')
      .innerJoin('domains', 'domains.guid', 'routes.domain_guid')
      .innerJoin('apps', 'apps.guid', 'app_guid')
      .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
      .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
      .innerJoin('organization_quotas', 'organization_quotas.guid', 'organizations.quota_guid')
      .select('route_destinations.guid')
      .executeTakeFirst();
    expect(found).toEqual({ guid: destination.guid });
  });

  test('aCopy() and aPlacement() lie in the space of their app', async () => {
    await using test = await openTestStore();
    const placement = await aPlacement(test.store);
    const { guid, generation, app_guid, process_guid, run_spec_guid, cell_id } = placement;
    const copy = await aCopy(test.store, { guid, generation, app_guid, process_guid, run_spec_guid, cell_id });
    const app = await test.store.read.selectFrom('apps').selectAll().executeTakeFirstOrThrow();
    expect([copy.space_guid, placement.space_guid]).toEqual([app.space_guid, app.space_guid]);
    expect(await count(test, 'copies')).toBe(1);
  });

  test('aBuild() takes overrides, and seals what a test can open', async () => {
    await using test = await openTestStore();
    const build = await aBuild(test.store, { state: 'FAILED', error: 'no' });
    expect(await test.store.read.selectFrom('builds').selectAll().executeTakeFirst()).toEqual(build);
    expect(testSealer.open(build.environment_sealed)).toBe('{}');
  });

  test('aRole() of an organization has no space', async () => {
    await using test = await openTestStore();
    const role = await aRole(test.store, { type: 'organization_manager' });
    expect(role.space_guid).toBeNull();
    expect(await count(test, 'spaces')).toBe(0);
  });

  test('aRoute() puts its change on the feed, with its space', async () => {
    await using test = await openTestStore();
    const start = await test.store.cursor();
    const route = await aRoute(test.store);
    const changes = await test.store.changesAfter(start, 100);
    expect(changes?.at(-1)).toMatchObject({ kind: 'route', guid: route.guid, spaceGuid: route.space_guid });
  });
});

async function count({ store }: TestStore, table: 'copies' | 'spaces'): Promise<number> {
  const { rows } = await store.read
    .selectFrom(table)
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .executeTakeFirstOrThrow();
  return rows;
}
