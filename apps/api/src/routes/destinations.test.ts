import { anApp, aSpace } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { details, eventTypes, makeApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

async function aRouteOf(test: TestApi) {
  const relationships = {
    space: { data: { guid: test.home.spaceGuid } },
    domain: { data: { guid: test.home.domainGuid } },
  };
  const { body } = await test.api('POST', '/v3/routes', { token: test.admin, body: { host: 'one', relationships } });
  const path = `/v3/routes/${body.guid}/destinations`;
  const call = (method: string, destinations: unknown) =>
    test.api(method, path, { token: test.admin, body: { destinations } });
  return {
    guid: body.guid as string,
    path,
    insert: (...destinations: unknown[]) => call('POST', destinations),
    replace: (...destinations: unknown[]) => call('PATCH', destinations),
    list: async (query = '') => (await test.api('GET', `${path}${query}`, { token: test.admin })).body.destinations,
  };
}

const to = (app: { guid: string }, type?: string) => ({
  app: { guid: app.guid, ...(type === undefined ? {} : { process: { type } }) },
});
const targets = (destinations: Json[]) => destinations.map(({ app }) => [app.guid, app.process.type]).sort();

test('POST destinations adds, and the same one twice is no error', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const route = await aRouteOf(test);
  const first = await route.insert(to(app));
  expect(first.status).toBe(200);
  expect(first.body).toMatchObject({
    destinations: [{ app: { guid: app.guid, process: { type: 'web' } }, port: 8_080, protocol: 'http1', weight: null }],
    links: { route: { href: `${test.url}/v3/routes/${route.guid}` } },
  });
  const again = await route.insert(to(app), to(app, 'worker'));
  expect(targets(again.body.destinations)).toEqual([
    [app.guid, 'web'],
    [app.guid, 'worker'],
  ]);
  expect(await eventTypes(test, app.guid)).toEqual(['app.create', 'app.map-route', 'app.map-route']);
});

test('PATCH destinations replaces: what is not named goes, what stays keeps its guid', async () => {
  await using test = await startTestApi();
  const [a, b] = [await makeApp(test), await makeApp(test)];
  const route = await aRouteOf(test);
  const { body } = await route.insert(to(a), to(a, 'worker'));
  const kept = body.destinations.find(({ app }: Json) => app.process.type === 'web');
  const replaced = await route.replace(to(a), to(b));
  expect(targets(replaced.body.destinations)).toEqual(targets([{ app: { ...to(a, 'web').app } }, to(b, 'web')]));
  expect(replaced.body.destinations).toContainEqual(kept);
  expect(await eventTypes(test, a.guid)).toContain('app.unmap-route');
  expect((await route.replace()).body.destinations).toEqual([]);
});

test('GET destinations filters by guid and app', async () => {
  await using test = await startTestApi();
  const [a, b] = [await makeApp(test), await makeApp(test)];
  const route = await aRouteOf(test);
  const { body } = await route.insert(to(a), to(b));
  expect(targets(await route.list(`?app_guids=${a.guid}`))).toEqual([[a.guid, 'web']]);
  expect(await route.list(`?guids=${body.destinations[0].guid}`)).toEqual([body.destinations[0]]);
  expect(await route.list()).toEqual(body.destinations);
});

test("DELETE a destination is 204; one that is not the route's is 422", async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const route = await aRouteOf(test);
  const { body } = await route.insert(to(app));
  const remove = () => test.api('DELETE', `${route.path}/${body.destinations[0].guid}`, { token: test.admin });
  expect((await remove()).status).toBe(204);
  expect(await route.list()).toEqual([]);
  expect(details(await remove())).toEqual([
    'Unable to unmap route from destination. Ensure the route has a destination with this guid.',
  ]);
  expect(await eventTypes(test, app.guid)).toContain('app.unmap-route');
});

test.each([
  ['http1', 200],
  ['http2', 422],
  ['tcp', 422],
  ['smtp', 422],
])('PATCH a destination to protocol %s answers %d', async (protocol, status) => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const route = await aRouteOf(test);
  const { body } = await route.insert(to(app));
  const path = `${route.path}/${body.destinations[0].guid}`;
  expect((await test.api('PATCH', path, { token: test.admin, body: { protocol } })).status).toBe(status);
});

test('an app of another space, a hidden one and one that is not there cannot be mapped', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const sister = await anApp(store, {
    space_guid: (await aSpace(store, { organization_guid: test.home.organizationGuid })).guid,
  });
  const hidden = await anApp(store);
  const route = await aRouteOf(test);
  expect(details(await route.insert(to(sister)))).toEqual([
    "Routes destinations must be in either the route's space or the route's shared spaces",
  ]);
  const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
  const insert = (guid: string) => test.api('POST', route.path, { token, body: { destinations: [to({ guid })] } });
  expect(details(await insert(hidden.guid))).toEqual([`App(s) with guid(s) "${hidden.guid}" do not exist.`]);
  expect(details(await insert('none'))).toEqual(['App(s) with guid(s) "none" do not exist.']);
});

test.each([
  [[], /^Destinations must be an array containing between 1 and 100/],
  [[{ guid: 'x' }], /^Destinations must have the structure/],
  [[{ app: { guid: 'APP' }, weight: 5 }], /^Weighted destinations are not supported yet/],
  [[{ app: { guid: 'APP' }, protocol: 'http2' }], /^HTTP\/2 destinations are not supported yet/],
  [[{ app: { guid: 'APP' }, port: 9_000 }], /^Destination port 9000 is not supported yet/],
  [[{ app: { guid: 'APP' } }, { app: { guid: 'APP' } }], /^Destinations cannot contain duplicate entries/],
])('destinations %j are 422', async (destinations, text) => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const route = await aRouteOf(test);
  const body = JSON.stringify({ destinations }).replaceAll('APP', app.guid);
  const answer = await test.api('POST', route.path, {
    token: test.admin,
    body,
    headers: { 'content-type': 'application/json' },
  });
  expect(answer.status).toBe(422);
  expect(details(answer)[0]).toMatch(text);
});
