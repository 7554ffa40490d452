import { anApp, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { details, eventTypes, makeApp, makeStagedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';
import { boundServices } from './vcap-services.ts';

const INSTANCES = '/v3/service_instances';
const BINDINGS = '/v3/service_credential_bindings';
const to = (guid: string) => ({ data: { guid } });

function cups(test: TestApi, given: Record<string, unknown> = {}): Promise<TestAnswer> {
  const { space = test.home.spaceGuid, token = test.admin, ...body } = given;
  return test.api('POST', INSTANCES, {
    token: String(token),
    body: { type: 'user-provided', name: 'db', relationships: { space: to(String(space)) }, ...body },
  });
}
function bind(test: TestApi, app: string, instance: string, given: Record<string, unknown> = {}): Promise<TestAnswer> {
  const { token = test.admin, ...body } = given;
  const relationships = { app: to(app), service_instance: to(instance) };
  return test.api('POST', BINDINGS, { token: String(token), body: { type: 'app', relationships, ...body } });
}
const get = async (test: TestApi, path: string, token = test.admin): Promise<Json> =>
  (await test.api('GET', path, { token })).body;
const names = (page: Json): string[] => page.resources.map((one: Json) => one.name);

describe('POST /v3/service_instances', () => {
  test('makes a user-provided one; its credentials are shown on a path of their own, and are sealed in the store', async () => {
    await using test = await startTestApi();
    const made = await cups(test, {
      credentials: { url: 'postgres://me:geheim@db/1' },
      tags: ['sql'],
      syslog_drain_url: 'syslog-tls://logs.example:6514?token=geheim',
      metadata: { labels: { tier: 'data' } },
    });
    const { guid } = made.body;
    expect([made.status, made.body]).toMatchObject([
      201,
      {
        name: 'db',
        type: 'user-provided',
        tags: ['sql'],
        syslog_drain_url: 'syslog-tls://logs.example:6514?token=geheim',
        route_service_url: null,
        last_operation: { type: 'create', state: 'succeeded' },
        relationships: { space: to(test.home.spaceGuid) },
        metadata: { labels: { tier: 'data' } },
        links: { credentials: { href: `${test.url}${INSTANCES}/${guid}/credentials` } },
      },
    ]);
    expect(await get(test, `${INSTANCES}/${guid}/credentials`)).toEqual({ url: 'postgres://me:geheim@db/1' });
    const { store } = test.deps;
    const rows = [
      await store.read.selectFrom('service_instances').selectAll().execute(),
      await store.read.selectFrom('audit_events').selectAll().execute(),
    ];
    expect(JSON.stringify(rows)).not.toContain('geheim');
    expect(await eventTypes(test, guid)).toEqual([
      'user_provided_service_instance.create',
      'user_provided_service_instance.show',
    ]);
  });

  test.each([
    [{ type: 'free' }, "Type must be one of 'managed', 'user-provided'"],
    [{ name: undefined }, "Name can't be blank"],
    [{ credentials: [] }, 'Credentials must be an object'],
    [{ syslog_drain_url: 'no url' }, 'Syslog drain url must be a valid URI'],
    [{ route_service_url: 'http://x' }, 'Route service url must be https'],
    [{ tags: [1] }, 'Tags must be a list of strings'],
    [{ parameters: {} }, "Unknown field(s): 'parameters'"],
    [{ size: 1 }, "Unknown field(s): 'size'"],
    [{ space: 'none' }, 'Invalid space. Ensure that the space exists and you have access to it.'],
  ])('%j is 422: %s', async (given, detail) => {
    await using test = await startTestApi();
    const answer = await cups(test, given);
    expect([answer.status, details(answer)]).toEqual([422, [detail]]);
  });

  test('a managed one is refused: there is no plan', async () => {
    await using test = await startTestApi();
    const relationships = { space: to(test.home.spaceGuid), service_plan: to('x') };
    const answer = await cups(test, { type: 'managed', relationships });
    expect([answer.status, details(answer)[0]]).toEqual([422, expect.stringMatching(/^Invalid service plan\./)]);
  });

  test('a name is taken once in a space, in the words that cf create-service looks for', async () => {
    await using test = await startTestApi();
    await cups(test);
    const again = await cups(test);
    expect([again.status, details(again)]).toEqual([422, ['The service instance name is taken: db.']]);
    const { guid } = await aSpace(test.deps.store);
    expect((await cups(test, { space: guid })).status).toBe(201);
  });

  test('a route service is kept, with the warning that it cannot be bound', async () => {
    await using test = await startTestApi();
    const made = await cups(test, { route_service_url: 'https://waf.example' });
    expect(made.body.route_service_url).toBe('https://waf.example');
    expect(made.headers.get('x-cf-warnings')).toContain('Support+for+route+services+is+disabled');
  });

  test('an admin may switch it off for everybody else', async () => {
    await using test = await startTestApi();
    await test.api('PATCH', '/v3/feature_flags/service_instance_creation', {
      token: test.admin,
      body: { enabled: false },
    });
    const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
    const refused = await cups(test, { token });
    expect([refused.status, details(refused)]).toEqual([403, ['Feature Disabled: service_instance_creation']]);
  });
});

describe('PATCH and DELETE /v3/service_instances/:guid', () => {
  test('change what they name; empty text takes a URL away', async () => {
    await using test = await startTestApi();
    const { guid } = (await cups(test, { credentials: { a: 1 }, tags: ['x'], syslog_drain_url: 'syslog://l:1' })).body;
    const patch = (body: unknown) => test.api('PATCH', `${INSTANCES}/${guid}`, { token: test.admin, body });
    expect((await patch({ name: 'store', syslog_drain_url: '' })).body).toMatchObject({
      name: 'store',
      tags: ['x'],
      syslog_drain_url: null,
      last_operation: { type: 'update' },
    });
    await patch({ credentials: { b: 2 } });
    expect(await get(test, `${INSTANCES}/${guid}/credentials`)).toEqual({ b: 2 });
    await cups(test);
    expect(details(await patch({ name: 'db' }))).toEqual(['The service instance name is taken: db.']);
  });

  test('a deleted one takes its bindings along', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const { guid } = (await cups(test)).body;
    await bind(test, app.guid, guid);
    expect((await test.api('DELETE', `${INSTANCES}/${guid}`, { token: test.admin })).status).toBe(204);
    expect((await get(test, BINDINGS)).resources).toEqual([]);
    expect((await test.api('GET', `${INSTANCES}/${guid}`, { token: test.admin })).status).toBe(404);
  });

  test('goes with its space', async () => {
    await using test = await startTestApi();
    await cups(test);
    await test.api('DELETE', `/v3/spaces/${test.home.spaceGuid}`, { token: test.admin });
    expect(await test.deps.store.read.selectFrom('service_instances').selectAll().execute()).toEqual([]);
  });
});

describe('GET /v3/service_instances', () => {
  test.each([
    ['names=db', ['db']],
    ['names=DB', []],
    ['type=managed', []],
    ['type=user-provided&order_by=-name', ['db', 'cache']],
    ['service_plan_names=x', []],
    ['label_selector=tier%3Ddata', ['db']],
    ['organization_guids=none', []],
    ['space_guids=none', []],
  ])('%s', async (query, expected) => {
    await using test = await startTestApi();
    await cups(test, { metadata: { labels: { tier: 'data' } } });
    await cups(test, { name: 'cache' });
    expect(names(await get(test, `${INSTANCES}?${query}`))).toEqual(expected);
  });

  test('answers cf services, which asks for parts of spaces and plans', async () => {
    await using test = await startTestApi();
    await cups(test);
    const asked =
      'fields[service_plan]=guid,name,relationships.service_offering&fields[service_plan.service_offering.service_broker]=name&' +
      `fields[space]=guid,name,relationships.organization&fields[space.organization]=guid,name&space_guids=${test.home.spaceGuid}`;
    const { included } = await get(test, `${INSTANCES}?${asked}&order_by=name&per_page=5000`);
    expect(included).toMatchObject({
      spaces: [{ guid: test.home.spaceGuid, relationships: { organization: to(test.home.organizationGuid) } }],
      organizations: [{ guid: test.home.organizationGuid }],
      service_plans: [],
      service_brokers: [],
    });
    const wrong = await test.api('GET', `${INSTANCES}?fields[space]=size`, { token: test.admin });
    expect([wrong.status, details(wrong)]).toEqual([
      400,
      [
        "The query parameter is invalid: Fields valid keys for 'space' are: 'guid', 'name', 'relationships.organization'",
      ],
    ]);
  });

  test('what is bound is seen in its own space only', async () => {
    await using test = await startTestApi();
    const { guid } = (await cups(test, { credentials: { a: 1 } })).body;
    const stranger = await test.userWith({ space_developer: (await aSpace(test.deps.store)).guid });
    const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
    expect(names(await get(test, INSTANCES, stranger.token))).toEqual([]);
    expect(names(await get(test, INSTANCES, auditor.token))).toEqual(['db']);
    const secrets = (token: string) => test.api('GET', `${INSTANCES}/${guid}/credentials`, { token });
    expect([(await secrets(stranger.token)).status, (await secrets(auditor.token)).status]).toEqual([404, 403]);
    expect(await get(test, `${INSTANCES}/${guid}/permissions`, auditor.token)).toEqual({ manage: false, read: true });
  });
});

describe('POST /v3/service_credential_bindings', () => {
  test('binds an app once, and the app finds it in VCAP_SERVICES', async () => {
    await using test = await startTestApi();
    const app = await makeStagedApp(test);
    const service = (await cups(test, { credentials: { url: 'x' }, tags: ['sql'], syslog_drain_url: 'syslog://l:1' }))
      .body;
    const bound = await bind(test, app.guid, service.guid, { name: 'main' });
    expect([bound.status, bound.body]).toMatchObject([
      201,
      { type: 'app', name: 'main', relationships: { app: to(app.guid), service_instance: to(service.guid) } },
    ]);
    const entry = {
      label: 'user-provided',
      name: 'main',
      tags: ['sql'],
      instance_guid: service.guid,
      instance_name: 'db',
      binding_guid: bound.body.guid,
      binding_name: 'main',
      credentials: { url: 'x' },
      syslog_drain_url: 'syslog://l:1',
      volume_mounts: [],
    };
    const { system_env_json } = await get(test, `/v3/apps/${app.guid}/env`);
    expect(system_env_json).toEqual({ VCAP_SERVICES: { 'user-provided': [entry] } });
    const again = await bind(test, app.guid, service.guid);
    expect([again.status, details(again)]).toEqual([422, ['The app is already bound to the service instance']]);
  });

  test('a start fixes it in the run spec, with where log lines go', async () => {
    await using test = await startTestApi();
    const app = await makeStagedApp(test);
    const { guid } = (await cups(test, { credentials: { url: 'x' }, syslog_drain_url: 'syslog://l:1' })).body;
    await bind(test, app.guid, guid);
    const database = await cups(test, { name: 'pg', credentials: { uri: 'postgresql://u:p@h/d' } });
    await bind(test, app.guid, database.body.guid);
    await test.api('POST', `/v3/apps/${app.guid}/actions/start`, { token: test.admin });
    const { spec_sealed } = await test.deps.store.read
      .selectFrom('run_specs')
      .select('spec_sealed')
      .executeTakeFirstOrThrow();
    const { environment, syslogDrains } = JSON.parse(test.deps.sealer.open(spec_sealed));
    const given = JSON.parse(environment.VCAP_SERVICES)['user-provided'] as Array<{
      name: string;
      credentials: unknown;
    }>;
    expect(given.find(({ name }) => name === 'db')?.credentials).toEqual({ url: 'x' });
    expect(environment.DATABASE_URL).toBe('postgres://u:p@h/d');
    expect(syslogDrains).toEqual(['syslog://l:1']);
  });

  test('boundServices() names a drain that two services share once', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const drain = { syslog_drain_url: 'syslog://l:1' };
    await bind(test, app.guid, (await cups(test, drain)).body.guid);
    await bind(test, app.guid, (await cups(test, { ...drain, name: 'other' })).body.guid);
    const bound = await boundServices(test.deps.store.read, test.deps.sealer, app.guid);
    expect([bound.syslogDrains, bound.vcapServices['user-provided']?.length]).toEqual([['syslog://l:1'], 2]);
  });

  test.each([
    [{ type: 'key', name: 'k' }, /type 'key' are not supported for user-provided service instances/],
    [{ type: 'free' }, /^Type must be 'app' or 'key'$/],
    [{ parameters: { a: 1 } }, /^Binding parameters are not supported for user-provided service instances$/],
    [{ strategy: 'many' }, /^Strategy must be 'single' or 'multiple'$/],
  ])('%j is 422', async (given, detail) => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const answer = await bind(test, app.guid, (await cups(test)).body.guid, given);
    expect([answer.status, details(answer)]).toEqual([422, [expect.stringMatching(detail)]]);
  });

  test('refuses what is in another space, absent or hidden', async () => {
    await using test = await startTestApi();
    const { guid } = (await cups(test)).body;
    const elsewhere = await anApp(test.deps.store);
    expect(details(await bind(test, elsewhere.guid, guid))).toEqual([
      'The service instance and the app are in different spaces',
    ]);
    expect(details(await bind(test, 'none', guid))).toEqual(["The app could not be found: 'none'"]);
    const { token } = await test.userWith({ space_developer: elsewhere.space_guid });
    expect(details(await bind(test, elsewhere.guid, guid, { token }))).toEqual([
      `The service instance could not be found: '${guid}'`,
    ]);
  });

  test('one name is one binding of an app', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    await bind(test, app.guid, (await cups(test)).body.guid, { name: 'main' });
    const other = (await cups(test, { name: 'other' })).body.guid;
    expect(details(await bind(test, app.guid, other, { name: 'main' }))[0]).toMatch(
      /^The binding name is invalid.*already has a binding with name 'main'\.$/,
    );
  });
});

describe('service credential bindings', () => {
  test('details are for developers; a binding goes with a DELETE, or with its app', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const { guid } = (await cups(test, { credentials: { a: 1 } })).body;
    const binding = (await bind(test, app.guid, guid)).body;
    const { token } = await test.userWith({ space_supporter: test.home.spaceGuid });
    expect((await test.api('GET', `${BINDINGS}/${binding.guid}/details`, { token })).status).toBe(404);
    expect(await get(test, `${BINDINGS}/${binding.guid}/details`)).toEqual({
      credentials: { a: 1 },
      volume_mounts: [],
    });
    expect((await test.api('DELETE', `${BINDINGS}/${binding.guid}`, { token })).status).toBe(204);
    await bind(test, app.guid, guid);
    await test.api('DELETE', `/v3/apps/${app.guid}`, { token: test.admin });
    expect((await get(test, BINDINGS)).resources).toEqual([]);
    expect(names(await get(test, INSTANCES))).toEqual(['db']);
  });

  test.each([
    ['', 1],
    ['service_instance_names=db', 1],
    ['service_instance_names=x', 0],
    ['app_names=shop&type=app', 1],
    ['type=key', 0],
    ['names=main&order_by=name', 1],
    ['names=x', 0],
    ['app_guids=none', 0],
    ['service_offering_names=x', 0],
    ['label_selector=a', 1],
  ])('GET ?%s finds %i', async (query, count) => {
    await using test = await startTestApi();
    const app = await makeApp(test, { name: 'shop' });
    const labels = { metadata: { labels: { a: 'b' } }, name: 'main' };
    await bind(test, app.guid, (await cups(test)).body.guid, labels);
    const path = `${BINDINGS}?include=app,service_instance&${query}`;
    const { resources, included } = await get(test, path);
    expect([resources.length, included.apps.length, included.service_instances.length]).toEqual([count, count, count]);
  });
});

describe('services: of a manifest', () => {
  test('binds by name, once, and the manifest that comes back names them', async () => {
    await using test = await startTestApi();
    await cups(test);
    await cups(test, { name: 'cache' });
    const space = `/v3/spaces/${test.home.spaceGuid}`;
    const yaml = 'applications: [{name: shop, services: [db, {name: cache, binding_name: fast}]}]';
    const apply = () => test.api('POST', `${space}/actions/apply_manifest`, { token: test.admin, yaml });
    expect([(await apply()).status, (await apply()).status]).toEqual([202, 202]);
    expect(names(await get(test, `${BINDINGS}?order_by=name`))).toEqual([null, 'fast']);
    const [app] = (await get(test, '/v3/apps')).resources;
    expect(await get(test, `/v3/apps/${app.guid}/manifest`)).toContain('services:\n      - cache\n      - db\n');
    const diff = await test.api('POST', `${space}/manifest_diff`, { token: test.admin, yaml });
    expect(diff.body.diff).toEqual([]);
  });

  test('a service that is not there is said by name', async () => {
    await using test = await startTestApi();
    const answer = await test.api('POST', `/v3/spaces/${test.home.spaceGuid}/actions/apply_manifest`, {
      token: test.admin,
      yaml: 'applications: [{name: shop, services: [db]}]',
    });
    expect([answer.status, details(answer)[0]]).toEqual([
      422,
      expect.stringMatching(/^For application 'shop': Service instance 'db' not found\./),
    ]);
  });
});
