import { aCell, aCopy, aPlacement, aSpace } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { makeApp } from '../apps/fixtures.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { aRegistration, openWatch } from '../internal/fixtures.ts';

const PATH = '/networking/v1/external/policies';
const policy = (source: string, destination: string, given: Record<string, unknown> = {}) => ({
  source: { id: source },
  destination: { id: destination, protocol: 'tcp', ports: { start: 8080, end: 8080 }, ...given },
});
const post = (test: TestApi, policies: unknown, { token = test.admin, path = PATH } = {}) =>
  test.api('POST', path, { token, body: { policies } });
const list = (test: TestApi, query = '', token = test.admin) => test.api('GET', `${PATH}${query}`, { token });

async function twoApps(test: TestApi): Promise<[string, string]> {
  return [(await makeApp(test)).guid, (await makeApp(test)).guid];
}

test('policies are made, listed at either end and deleted, as the cf CLI does it', async () => {
  await using test = await startTestApi();
  const [front, back] = await twoApps(test);
  const made = await post(test, [policy(front, back)]);
  expect([made.status, made.body]).toEqual([200, {}]);
  await post(test, [policy(front, back)]);
  const whole = { total_policies: 1, policies: [policy(front, back)] };
  expect((await list(test, `?id=${back},x`)).body).toEqual(whole);
  expect((await list(test, `?source_id=${front}&dest_id=${back}`)).body).toEqual(whole);
  expect((await list(test, `?source_id=${back}`)).body.total_policies).toBe(0);
  expect((await post(test, [policy(front, back)], { path: `${PATH}/delete` })).status).toBe(200);
  expect((await list(test)).body).toEqual({ total_policies: 0, policies: [] });
});

test.each<[Record<string, unknown>, string]>([
  [{ protocol: 'icmp' }, 'invalid destination protocol, specify either udp or tcp'],
  [{ ports: { start: 9, end: 1 } }, 'invalid port range 9-1, start must be less than or equal to end'],
  [{ ports: { start: 0, end: 1 } }, 'missing start port'],
  [{ ports: { start: 1, end: 65_536 } }, 'invalid end port 65536, must be in range 1-65535'],
  [{ id: '' }, 'missing destination id'],
])('a policy with %j is 400: %s', async (given, sentence) => {
  await using test = await startTestApi();
  const answer = await post(test, [policy('a', 'b', given)]);
  expect([answer.status, answer.body]).toEqual([400, { error: `mapper: validate policies: ${sentence}` }]);
});

test('policies are for who develops or manages at both ends; others see none', async () => {
  await using test = await startTestApi();
  const [front, back] = await twoApps(test);
  const elsewhere = await aSpace(test.deps.store);
  const hidden = (await makeApp(test, { space: elsewhere.guid })).guid;
  const developer = await test.userWith({ space_developer: test.home.spaceGuid });
  const manager = await test.userWith({ space_manager: test.home.spaceGuid });
  const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
  expect((await post(test, [policy(front, back)], developer)).status).toBe(200);
  expect((await post(test, [policy(back, front)], manager)).status).toBe(200);
  for (const [policies, token] of [
    [[policy(front, hidden)], developer.token],
    [[policy(front, 'none')], developer.token],
    [[policy(front, back)], auditor.token],
  ] as const) {
    const refused = await post(test, policies, { token });
    expect([refused.status, refused.body]).toEqual([
      403,
      { error: 'one or more applications cannot be found or accessed' },
    ]);
  }
  await post(test, [policy(front, hidden)]);
  expect((await list(test, '', developer.token)).body.total_policies).toBe(2);
  expect((await list(test, '', auditor.token)).body.total_policies).toBe(0);
  expect((await list(test)).body.total_policies).toBe(3);
});

test('an app has at most 150 policies as their source, but for admins', async () => {
  await using test = await startTestApi();
  const [front, back] = await twoApps(test);
  const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => policy(front, back, { ports: { start: index + 1, end: index + 1 } }));
  const refused = await post(test, many(151), { token });
  expect([refused.status, refused.body.error]).toEqual([403, expect.stringContaining('policy quota exceeded')]);
  expect((await post(test, many(151))).status).toBe(200);
});

test('where apps share one network, policies are refused with the reason', async () => {
  await using test = await startTestApi();
  const { rung } = aRegistration();
  await aCell(test.deps.store, { rung_json: JSON.stringify({ ...rung, enforced: { ...rung.enforced, net: false } }) });
  const [front, back] = await twoApps(test);
  const refused = await post(test, [policy(front, back)]);
  expect([refused.status, refused.body.error]).toEqual([400, expect.stringContaining('Start Cupola as root')]);
  const [domain] = (await test.api('GET', '/v3/domains?names=apps.internal', { token: test.admin })).body.resources;
  const relationships = { space: { data: { guid: test.home.spaceGuid } }, domain: { data: { guid: domain.guid } } };
  const route = await test.api('POST', '/v3/routes', { token: test.admin, body: { host: 'a', relationships } });
  expect(decodeURIComponent(route.headers.get('x-cf-warnings') ?? '')).toMatch(/lead\+nowhere\+on\+this\+machine/);
});

test('an app takes its policies with it', async () => {
  await using test = await startTestApi();
  const [front, back] = await twoApps(test);
  await post(test, [policy(front, back), policy(back, front)]);
  await test.api('DELETE', `/v3/apps/${back}`, { token: test.admin });
  expect((await list(test)).body.total_policies).toBe(0);
});

test('cells are told of policies, and of names on internal domains, which no router hears of', async () => {
  await using test = await startTestApi();
  const [front, back] = await twoApps(test);
  await post(test, [policy(front, back)]);
  const [domain] = (await test.api('GET', '/v3/domains?names=apps.internal', { token: test.admin })).body.resources;
  expect(domain).toMatchObject({ internal: true, relationships: { organization: { data: null } } });
  const route = await test.api('POST', '/v3/routes', {
    token: test.admin,
    body: {
      host: 'Back',
      relationships: { space: { data: { guid: test.home.spaceGuid } }, domain: { data: { guid: domain.guid } } },
    },
  });
  expect([route.status, route.body.url]).toEqual([201, 'back.apps.internal']);
  await test.api('POST', `/v3/routes/${route.body.guid}/destinations`, {
    token: test.admin,
    body: { destinations: [{ app: { guid: back } }] },
  });
  using peers = await openWatch(test.socketPath, '/internal/peers/watch');
  using routes = await openWatch(test.socketPath, '/internal/routes/watch');
  const items = [...peers.items.values()];
  expect(items.map(({ guid: _, ...item }) => item)).toEqual(
    expect.arrayContaining([
      {
        kind: 'policy',
        sourceAppGuid: front,
        destinationAppGuid: back,
        protocol: 'tcp',
        ports: [8080, 8080],
      },
      { kind: 'route', name: 'back.apps.internal', destinations: [{ appGuid: back, processType: 'web' }] },
      { kind: 'domain', name: 'apps.internal' },
    ]),
  );
  expect(items).toHaveLength(3);
  expect(routes.items.size).toBe(0);
});

/** Placed and running, on a cell of its own, as its agent tells it. */
async function anInstanceOf({ deps: { store } }: TestApi, appGuid: string, cell: { cell_id: string }) {
  const process = await store.read
    .selectFrom('processes')
    .selectAll()
    .where('app_guid', '=', appGuid)
    .executeTakeFirst();
  const ids = { app_guid: appGuid, process_guid: process?.guid ?? '', cell_id: cell.cell_id };
  const placement = await aPlacement(store, ids);
  await aCopy(store, { ...ids, guid: placement.guid });
  return placement.guid;
}

test('cells are told where instances are of apps that a policy names, on the word of placements, and how to reach their cells', async () => {
  await using test = await startTestApi();
  const [front, back] = await twoApps(test);
  const [other] = await twoApps(test);
  const { store } = test.deps;
  const cell = await aCell(store, { forward_host: '10.0.0.5', forward_port: 7464 });
  const instance = await anInstanceOf(test, back, cell);
  await anInstanceOf(test, other, cell);
  using watch = await openWatch(test.socketPath, '/internal/peers/watch');
  expect([...watch.items.values()].filter(({ kind }) => kind === 'instance')).toEqual([]);
  expect(watch.items.get(cell.cell_id)).toEqual({ kind: 'cell', guid: cell.cell_id, host: '10.0.0.5', port: 7464 });

  await post(test, [policy(front, back)]);
  await watch.until(() => watch.items.has(instance));
  expect([...watch.items.values()].filter(({ kind }) => kind === 'instance')).toEqual([
    {
      kind: 'instance',
      guid: instance,
      appGuid: back,
      processType: 'web',
      index: 0,
      cellId: cell.cell_id,
      isHealthy: true,
    },
  ]);
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('cells').set({ state: 'LOST' }).where('cell_id', '=', cell.cell_id).execute();
    await db.deleteFrom('placements').where('guid', '=', instance).execute();
    changed('cell', cell.cell_id);
    changed('placement', instance);
  });
  await watch.until(() => !watch.items.has(instance) && !watch.items.has(cell.cell_id));
});

test.each([
  [{ host: '*' }, 'Wildcard hosts are not supported for internal domains.'],
  [{ host: 'a', path: '/b' }, 'Paths are not supported for internal domains.'],
])('a route %j on an internal domain is 422: %s', async (asked, sentence) => {
  await using test = await startTestApi();
  const [domain] = (await test.api('GET', '/v3/domains?names=apps.internal', { token: test.admin })).body.resources;
  const relationships = { space: { data: { guid: test.home.spaceGuid } }, domain: { data: { guid: domain.guid } } };
  const answer = await test.api('POST', '/v3/routes', { token: test.admin, body: { ...asked, relationships } });
  expect([answer.status, answer.body.errors[0].detail]).toEqual([422, sentence]);
});
