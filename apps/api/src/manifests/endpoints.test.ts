import { aQuota } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { apiLines, details, eventTypes, makeApp, makeStartedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const spacePath = (test: TestApi, action: string) => `/v3/spaces/${test.home.spaceGuid}/${action}`;
const apply = (test: TestApi, yaml: string, token = test.admin) =>
  test.api('POST', spacePath(test, 'actions/apply_manifest'), { token, yaml });
const diff = (test: TestApi, yaml: string) =>
  test.api('POST', spacePath(test, 'manifest_diff'), { token: test.admin, yaml });
const get = async (test: TestApi, path: string): Promise<Json> =>
  (await test.api('GET', path, { token: test.admin })).body;
const appNames = async (test: TestApi): Promise<string[]> =>
  (await get(test, '/v3/apps?order_by=name')).resources.map((app: Json) => app.name);

const WHOLE = `
version: 1
applications:
- name: shop
  path: ./ignored
  buildpacks: [nodejs_buildpack]
  stack: cflinuxfs4
  env: {GREETING: hello, COUNT: 3}
  metadata: {labels: {team: a}}
  routes:
  - route: shop.localhost
  - route: shop.localhost/cart
    options: {loadbalancing: least-connection}
  processes:
  - type: web
    instances: 2
    memory: 128M
    disk_quota: 256M
    health-check-type: http
    health-check-http-endpoint: /health
  - type: worker
    command: node worker
    instances: 0
`;

describe('POST apply_manifest', () => {
  test('with an app named neither makes nor changes another one', async () => {
    await using test = await startTestApi();
    const { guid } = await makeApp(test, { name: 'shop' });
    const applyTo = (app: string, name: string) =>
      test.api('POST', spacePath(test, `actions/apply_manifest?app_guid=${app}`), {
        token: test.admin,
        yaml: `applications: [{ name: ${name}, default-route: true }]`,
      });
    expect((await applyTo(guid, 'Shop')).status).toBe(202);
    const other = '00000000-0000-4000-8000-000000000000';
    for (const answer of [await applyTo(guid, 'fix'), await applyTo(other, 'shop')])
      expect(answer).toMatchObject({
        status: 422,
        body: { errors: [{ detail: expect.stringContaining('was deleted or renamed meanwhile') }] },
      });
    expect(await appNames(test)).toEqual(['shop']);
  });

  test('makes an app with all that it says, in one job that has ended, with its warnings', async () => {
    await using test = await startTestApi();
    const answer = await apply(test, WHOLE);
    expect(answer.status).toBe(202);
    const job = await get(test, answer.headers.get('location') ?? '');
    expect(job).toMatchObject({ operation: 'space.apply_manifest', state: 'COMPLETE' });
    expect(job.warnings).toEqual([{ detail: expect.stringMatching(/^Stack 'cflinuxfs4' is not installed here/) }]);

    const [app] = (await get(test, '/v3/apps?names=shop')).resources;
    expect(app).toMatchObject({
      lifecycle: { data: { buildpacks: ['nodejs_buildpack'], stack: 'host' } },
      metadata: { labels: { team: 'a' } },
    });
    expect((await get(test, `/v3/apps/${app.guid}/environment_variables`)).var).toEqual({
      GREETING: 'hello',
      COUNT: '3',
    });
    expect(await get(test, `/v3/apps/${app.guid}/processes/web`)).toMatchObject({
      guid: app.guid,
      instances: 2,
      memory_in_mb: 128,
      disk_in_mb: 256,
      health_check: { type: 'http', data: { endpoint: '/health' } },
    });
    expect(await get(test, `/v3/apps/${app.guid}/processes/worker`)).toMatchObject({ command: 'node worker' });
    const routes = (await get(test, `/v3/apps/${app.guid}/routes`)).resources;
    expect(routes.map(({ url, options }: Json) => [url, options]).sort()).toEqual([
      ['shop.localhost:8080', {}],
      ['shop.localhost:8080/cart', { loadbalancing: 'least-connection' }],
    ]);
  });

  test("each part is on record as a manifest's, secrets hidden", async () => {
    await using test = await startTestApi();
    await apply(test, WHOLE);
    const [app] = (await get(test, '/v3/apps?names=shop')).resources;
    expect([...new Set(await eventTypes(test, app.guid))]).toEqual([
      'app.apply_manifest',
      'app.create',
      'app.map-route',
      'app.process.create',
      'app.process.scale',
      'app.process.update',
      'app.update',
    ]);
    const rows = await test.deps.store.read.selectFrom('audit_events').select('data_json').execute();
    const said = JSON.stringify([rows, await apiLines(test, app.guid)]);
    expect(said).not.toMatch(/hello|node worker/);
    expect(said).toContain('manifest_triggered');
  });

  test('several apps are made, or none', async () => {
    await using test = await startTestApi();
    await apply(test, 'applications:\n- name: one\n- name: two\n');
    expect(await appNames(test)).toEqual(['one', 'two']);
    const failed = await apply(
      test,
      'applications:\n- name: three\n  routes:\n  - route: three.localhost\n- name: four\n  buildpack: cobol\n',
    );
    expect(failed.status).toBe(422);
    expect(details(failed)[0]).toMatch(
      /^For application 'four': Buildpack "cobol" must be an existing admin buildpack/,
    );
    expect(await appNames(test)).toEqual(['one', 'two']);
    expect((await get(test, '/v3/routes')).resources).toEqual([]);
  });

  test('says all that is wrong, an entry each, before it does anything', async () => {
    await using test = await startTestApi();
    const answer = await apply(test, 'applications:\n- name: one\n  memory: big\n  instances: -1\n- memory: 1G\n');
    expect(answer.status).toBe(422);
    expect(details(answer)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^For application 'one': .*[Mm]emory/),
        expect.stringMatching(/^For application 'one': .*[Ii]nstances/),
        'For application at index 1: Name must not be empty',
      ]),
    );
  });

  test.each([
    ['a: [', 400, /parse error/],
    ['version: 2\napplications:\n- name: a\n', 422, /^Unsupported manifest schema version/],
    ['version: 1\n', 422, /^Cannot parse manifest with no 'applications' field\.$/],
    ['applications: []\n', 422, /no 'applications' field/],
    ['- name: a\n', 422, /no 'applications' field/],
    ['', 422, /no 'applications' field/],
  ])('%j is %d', async (yaml, status, text) => {
    await using test = await startTestApi();
    const answer = await apply(test, yaml);
    expect(answer.status).toBe(status);
    expect(details(answer)[0]).toMatch(text);
  });

  test('that would keep everyone waiting is refused, before it is begun', async () => {
    await using test = await startTestApi();
    const routes = Array.from({ length: 500 }, (_, index) => `  - route: r${index}.localhost\n`);
    const answer = await apply(test, `applications:\n- name: a\n  routes:\n${routes.join('')}`);
    expect(answer.status).toBe(422);
    expect(details(answer)[0]).toMatch(/^The manifest has 501 applications, processes and routes; at most 500/);
    expect(await appNames(test)).toEqual([]);
  });

  test('wants YAML', async () => {
    await using test = await startTestApi();
    const body = { applications: [{ name: 'a' }] };
    const answer = await test.api('POST', spacePath(test, 'actions/apply_manifest'), { token: test.admin, body });
    expect(answer.status).toBe(400);
    expect(details(answer)).toEqual(['Bad request: Content-Type must be yaml']);
  });

  test('merges env and routes; default-route adds none to an app that has one', async () => {
    await using test = await startTestApi();
    await apply(test, 'applications:\n- name: a\n  env: {A: 1, B: 2}\n  routes: [{route: x.localhost}]\n');
    await apply(test, 'applications:\n- name: a\n  env: {B: 3}\n  default-route: true\n');
    const [app] = (await get(test, '/v3/apps')).resources;
    expect((await get(test, `/v3/apps/${app.guid}/environment_variables`)).var).toEqual({ A: '1', B: '3' });
    expect((await get(test, `/v3/apps/${app.guid}/routes`)).resources).toHaveLength(1);
    await apply(test, 'applications:\n- name: a\n  no-route: true\n');
    expect((await get(test, `/v3/apps/${app.guid}/routes`)).resources).toEqual([]);
  });

  test("random-route makes a host of the app's name and words", async () => {
    await using test = await startTestApi();
    await apply(test, 'applications:\n- name: shop\n  random-route: true\n');
    expect((await get(test, '/v3/routes')).resources[0].host).toMatch(/^shop-[a-z]+-[a-z]+-[a-z]{2}$/);
  });

  test('over the quota is refused whole', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test, { app: { name: 'a' } });
    const quota = await aQuota(test.deps.store, { total_memory_mb: 1_024 });
    await test.deps.store.mutate(({ db }) => db.updateTable('organizations').set({ quota_guid: quota.guid }).execute());
    const answer = await apply(test, 'applications:\n- name: a\n  memory: 2G\n  env: {A: 1}\n');
    expect(answer.body.errors[0]).toMatchObject({ code: 100_005, title: 'CF-AppMemoryQuotaExceeded' });
    expect((await get(test, `/v3/apps/${app.guid}/environment_variables`)).var).toEqual({});
  });

  test('two at once do not make one app twice', async () => {
    await using test = await startTestApi();
    const yaml = 'applications:\n- name: a\n  default-route: true\n';
    const answers = await Promise.all([1, 2, 3, 4].map(() => apply(test, yaml)));
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
    expect(await appNames(test)).toEqual(['a']);
    expect((await get(test, '/v3/routes')).resources).toHaveLength(1);
  });

  test('a process type that is wanted in a started app is fixed at once', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test, { app: { name: 'a' } });
    await apply(test, 'applications:\n- name: a\n  processes:\n  - type: worker\n    command: run\n    instances: 1\n');
    const rows = await test.deps.store.read.selectFrom('processes').selectAll().execute();
    expect(rows.map(row => row.run_spec_guid !== null)).toEqual([true, true]);
    expect(rows.find(row => row.guid === app.guid)?.start_sequence).toBe(1);
  });
});

describe('POST manifest_diff', () => {
  test('shows what would change, and changes nothing', async () => {
    await using test = await startTestApi();
    await apply(test, 'applications:\n- name: a\n  memory: 256M\n  env: {A: 1}\n');
    const answer = await diff(test, 'applications:\n- name: A\n  memory: 512M\n  env: {A: 1, B: 2}\n- name: new\n');
    expect(answer.status).toBe(201);
    expect(answer.body.diff).toEqual([
      { op: 'replace', path: '/applications/0/name', was: 'a', value: 'A' },
      { op: 'replace', path: '/applications/0/memory', was: '256M', value: '512M' },
      { op: 'add', path: '/applications/0/env/B', value: '2' },
      { op: 'add', path: '/applications/1/name', value: 'new' },
    ]);
    expect(await appNames(test)).toEqual(['a']);
  });

  test('refuses what apply_manifest would', async () => {
    await using test = await startTestApi();
    const answer = await diff(test, 'applications:\n- name: a\n  docker: {tag: 1}\n');
    expect(answer.status).toBe(422);
    expect(details(answer)[0]).toMatch(/^For application 'a': Docker must be an object with an image/);
  });
});

describe('GET /v3/apps/:guid/manifest', () => {
  test('is YAML that would make the app again: its difference to what is there is none', async () => {
    await using test = await startTestApi();
    await apply(test, WHOLE);
    const [app] = (await get(test, '/v3/apps')).resources;
    const answer = await test.api('GET', `/v3/apps/${app.guid}/manifest`, {
      token: test.admin,
      headers: { accept: 'application/x-yaml' },
    });
    expect(answer.headers.get('content-type')).toBe('application/x-yaml');
    const [shown] = parse(answer.body).applications;
    expect(shown).toMatchObject({ name: 'shop', env: { GREETING: 'hello', COUNT: '3' }, stack: 'host' });
    expect((await diff(test, answer.body)).body.diff).toEqual([]);
    expect((await apply(test, answer.body)).status).toBe(202);
  });

  test('holds secrets: for developers only', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const { token } = await test.userWith({ space_auditor: test.home.spaceGuid });
    expect((await test.api('GET', `/v3/apps/${app.guid}/manifest`, { token })).status).toBe(403);
  });
});
