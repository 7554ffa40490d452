import { anApp, anOrganization, aSpace } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { type Json, startTestApi } from '../fixtures.ts';
import { apiLines, details, eventTypes, makeApp, makeStagedApp, makeStartedApp, placeCopy } from './fixtures.ts';

const names = (answer: { body: Json }): string[] => answer.body.resources.map((app: Json) => app.name);

test('POST /v3/apps makes an app with its web process, an event and a line in its log', async () => {
  await using test = await startTestApi();
  const { body, status } = await test.api('POST', '/v3/apps', {
    token: test.admin,
    body: {
      name: 'shop',
      relationships: { space: { data: { guid: test.home.spaceGuid } } },
      lifecycle: { type: 'buildpack', data: { buildpacks: ['nodejs_buildpack'] } },
      environment_variables: { GREETING: 'hello' },
      metadata: { labels: { team: 'a' }, annotations: { note: 'b' } },
    },
  });
  expect(status).toBe(201);
  expect(body).toMatchObject({
    name: 'shop',
    state: 'STOPPED',
    created_at: '2026-01-02T03:04:05Z',
    lifecycle: { type: 'buildpack', data: { buildpacks: ['nodejs_buildpack'], stack: 'host' } },
    relationships: { space: { data: { guid: test.home.spaceGuid } }, current_droplet: { data: { guid: null } } },
    metadata: { labels: { team: 'a' }, annotations: { note: 'b' } },
    links: { start: { href: `${test.url}/v3/apps/${body.guid}/actions/start`, method: 'POST' } },
  });
  const web = await test.api('GET', `/v3/processes/${body.guid}`, { token: test.admin });
  expect(web.body).toMatchObject({ type: 'web', instances: 1, memory_in_mb: 1_024 });
  const variables = await test.api('GET', `/v3/apps/${body.guid}/environment_variables`, { token: test.admin });
  expect(variables.body.var).toEqual({ GREETING: 'hello' });
  expect(await apiLines(test, body.guid)).toEqual([`Created app with guid ${body.guid}`]);
  const event = await test.deps.store.read
    .selectFrom('audit_events')
    .selectAll()
    .where('type', '=', 'audit.app.create')
    .executeTakeFirstOrThrow();
  expect(event.data_json).toContain('[PRIVATE DATA HIDDEN]');
  expect(event.data_json).not.toContain('hello');
});

test("an app for another platform's stack is made for ours, with a warning", async () => {
  await using test = await startTestApi();
  const relationships = { space: { data: { guid: test.home.spaceGuid } } };
  const lifecycle = { type: 'buildpack', data: { stack: 'cflinuxfs4' } };
  const answer = await test.api('POST', '/v3/apps', {
    token: test.admin,
    body: { name: 'a', relationships, lifecycle },
  });
  expect(answer.body.lifecycle.data.stack).toBe('host');
  expect(answer.headers.get('x-cf-warnings')).toMatch(/^Stack\+%27cflinuxfs4%27\+is\+not\+installed/);
});

test.each([
  ['no name', {}, /^Name must be a string/],
  ['an empty name', { name: '' }, /^Name must not be blank/],
  ['an unknown field', { name: 'a', stack: 'x' }, /^Unknown field\(s\): 'stack'$/],
  [
    'another stack',
    { name: 'a', lifecycle: { type: 'buildpack', data: { stack: 'x' } } },
    /^Stack must be an existing/,
  ],
  [
    'another buildpack',
    { name: 'a', lifecycle: { type: 'buildpack', data: { buildpacks: ['cobol'] } } },
    /Buildpack "cobol" must be an existing admin buildpack or a valid git URI/,
  ],
  ['docker and a stack', { name: 'a', lifecycle: { type: 'docker', data: { stack: 'host' } } }, /data must be empty/],
  ['PORT', { name: 'a', environment_variables: { PORT: '1' } }, /^Environment variables cannot set PORT$/],
  ['a label that is none', { name: 'a', metadata: { labels: { 'a b': 'c' } } }, /contains invalid characters/],
])('POST /v3/apps with %s is 422, and nothing is made', async (_what, body, text) => {
  await using test = await startTestApi();
  const relationships = { space: { data: { guid: test.home.spaceGuid } } };
  const answer = await test.api('POST', '/v3/apps', { token: test.admin, body: { relationships, ...body } });
  expect(answer.status).toBe(422);
  expect(details(answer)).toEqual([expect.stringMatching(text)]);
  expect(names(await test.api('GET', '/v3/apps', { token: test.admin }))).toEqual([]);
});

test('a name is one in a space, whatever its case, and free in another', async () => {
  await using test = await startTestApi();
  await makeApp(test, { name: 'Shop' });
  const relationships = { space: { data: { guid: test.home.spaceGuid } } };
  const again = await test.api('POST', '/v3/apps', { token: test.admin, body: { name: 'shop', relationships } });
  expect(again.status).toBe(422);
  expect(details(again)).toEqual(["App with the name 'shop' already exists."]);
  const other = await aSpace(test.deps.store);
  expect(await makeApp(test, { name: 'shop', space: other.guid })).toMatchObject({ name: 'shop' });
});

test('GET /v3/apps filters by what the cf CLI asks for', async () => {
  await using test = await startTestApi();
  const other = await aSpace(test.deps.store);
  const one = await makeApp(test, { name: 'one', metadata: { labels: { env: 'prod' } } });
  await makeApp(test, { name: 'two' });
  await makeApp(test, { name: 'with,comma', space: other.guid });
  const list = async (query: string) => names(await test.api('GET', `/v3/apps?${query}`, { token: test.admin }));
  expect(await list('order_by=name')).toEqual(['one', 'two', 'with,comma']);
  expect(await list('order_by=-name')).toEqual(['with,comma', 'two', 'one']);
  expect(await list('names=ONE,nobody')).toEqual(['one']);
  expect(await list('names=with%252Ccomma')).toEqual(['with,comma']);
  expect(await list(`guids=${one.guid}`)).toEqual(['one']);
  expect(await list(`space_guids=${other.guid}`)).toEqual(['with,comma']);
  expect(await list(`organization_guids=${other.organization_guid}`)).toEqual(['with,comma']);
  expect(await list('label_selector=env%3Dprod')).toEqual(['one']);
  expect(await list('stacks=host&names=two')).toEqual(['two']);
  expect(await list('stacks=none')).toEqual([]);
  expect(await list('lifecycle_type=docker')).toEqual([]);
  expect(await list('names=')).toEqual([]);
  expect(await list('created_ats[lt]=2026-01-01T00:00:00Z')).toEqual([]);
});

test('GET /v3/apps refuses what is no filter', async () => {
  await using test = await startTestApi();
  const answer = await test.api('GET', '/v3/apps?color=red', { token: test.admin });
  expect(answer.status).toBe(400);
  expect(details(answer)[0]).toMatch(/^The query parameter is invalid: Unknown query parameter\(s\): 'color'\./);
});

test('GET /v3/apps pages with links that carry the filters, and shows each app once', async () => {
  await using test = await startTestApi();
  for (const name of ['a', 'b', 'c', 'd', 'e']) await makeApp(test, { name });
  const first = await test.api('GET', `/v3/apps?per_page=2&order_by=name&space_guids=${test.home.spaceGuid}`, {
    token: test.admin,
  });
  expect(first.body.pagination).toMatchObject({ total_results: 5, total_pages: 3, previous: null });
  const second = await test.api('GET', first.body.pagination.next.href, { token: test.admin });
  const third = await test.api('GET', second.body.pagination.next.href, { token: test.admin });
  expect([first, second, third].map(names)).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  expect(third.body.pagination.next).toBeNull();
});

test.each([
  ['space', ['spaces']],
  ['space.organization', ['organizations', 'spaces']],
  ['org', ['organizations']],
])('include=%s brings %j', async (include, expected) => {
  await using test = await startTestApi();
  await makeApp(test);
  const { body } = await test.api('GET', `/v3/apps?include=${include}`, { token: test.admin });
  expect(Object.keys(body.included).sort()).toEqual(expected);
});

test('include=space,space.organization brings both, once each', async () => {
  await using test = await startTestApi();
  await makeApp(test);
  await makeApp(test);
  const { body } = await test.api('GET', '/v3/apps?include=space,space.organization', { token: test.admin });
  expect(body.included.spaces.map((space: Json) => space.name)).toEqual(['dev']);
  expect(body.included.organizations.map((organization: Json) => organization.name)).toEqual(['cupola']);
  const one = await test.api('GET', `/v3/apps/${body.resources[0].guid}?include=space`, { token: test.admin });
  expect(Object.keys(one.body.included)).toEqual(['spaces']);
});

test('PATCH /v3/apps renames and labels, and leaves the rest', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test, { name: 'old', metadata: { labels: { a: '1', b: '2' } } });
  const change = { name: 'new', metadata: { labels: { a: null, c: '3' } } };
  const { body, status } = await test.api('PATCH', `/v3/apps/${app.guid}`, { token: test.admin, body: change });
  expect(status).toBe(200);
  expect(body).toMatchObject({ name: 'new', lifecycle: app.lifecycle, metadata: { labels: { b: '2', c: '3' } } });
  expect(body.metadata.labels).not.toHaveProperty('a');
  expect(await eventTypes(test, app.guid)).toEqual(['app.create', 'app.update']);
  expect(await apiLines(test, app.guid)).toContain(
    `Updated app with guid ${app.guid} ({"name"=>"new", "metadata"=>{"labels"=>{"a"=>nil, "c"=>"3"}}})`,
  );
});

test('PATCH /v3/apps to a name that is taken is 422; to its own in other letters it is not', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test, { name: 'one' });
  await makeApp(test, { name: 'two' });
  const rename = (name: string) => test.api('PATCH', `/v3/apps/${app.guid}`, { token: test.admin, body: { name } });
  expect((await rename('TWO')).status).toBe(422);
  expect((await rename('ONE')).body.name).toBe('ONE');
});

test('DELETE /v3/apps leaves nothing of the app but its events and routes', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const app = await makeStartedApp(test);
  await placeCopy(test, app.guid);
  const answer = await test.api('DELETE', `/v3/apps/${app.guid}`, { token: test.admin });
  expect(answer.status).toBe(202);
  const job = await test.api('GET', answer.headers.get('location') ?? '', { token: test.admin });
  expect(job.body).toMatchObject({ operation: 'app.delete', state: 'COMPLETE', errors: [] });
  expect((await test.api('GET', `/v3/apps/${app.guid}`, { token: test.admin })).status).toBe(404);
  const left = await Promise.all(
    (['processes', 'droplets', 'run_specs', 'builds', 'packages', 'route_destinations'] as const).map(table =>
      store.read.selectFrom(table).select('guid').execute(),
    ),
  );
  expect(left.flat()).toEqual([]);
  expect(await eventTypes(test, app.guid)).toContain('app.delete-request');
});

test('an app of a space that one may not see is not there', async () => {
  await using test = await startTestApi();
  const organization = await anOrganization(test.deps.store);
  const space = await aSpace(test.deps.store, { organization_guid: organization.guid });
  const app = await anApp(test.deps.store, { space_guid: space.guid });
  const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
  const answer = await test.api('GET', `/v3/apps/${app.guid}`, { token });
  expect(answer).toMatchObject({ status: 404, body: { errors: [{ detail: 'App not found', code: 10_010 }] } });
  expect(names(await test.api('GET', '/v3/apps', { token }))).toEqual([]);
  const body = { name: 'a', relationships: { space: { data: { guid: space.guid } } } };
  expect(details(await test.api('POST', '/v3/apps', { token, body }))).toEqual([
    'Invalid space. Ensure that the space exists and you have access to it.',
  ]);
});

test("the current droplet cannot be taken away, nor be another app's", async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  const other = await makeStagedApp(test);
  const path = (guid: string) => `/v3/apps/${guid}/relationships/current_droplet`;
  const theirs = await test.api('GET', path(other.guid), { token: test.admin });
  const assign = (data: unknown) => test.api('PATCH', path(app.guid), { token: test.admin, body: { data } });
  expect(details(await assign(null))).toEqual([
    'Current droplet cannot be removed. Replace it with a preferred droplet.',
  ]);
  expect(details(await assign(theirs.body.data))).toEqual([
    'Unable to assign current droplet. Ensure the droplet exists and belongs to this app.',
  ]);
});

test('a droplet brings the processes of its types: web with one instance, others with none', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test, { droplet: { process_types_json: '{"web":"a","worker":"b"}' } });
  const { body } = await test.api('GET', `/v3/apps/${app.guid}/processes`, { token: test.admin });
  expect(body.resources.map(({ type, instances }: Json) => [type, instances]).sort()).toEqual([
    ['web', 1],
    ['worker', 0],
  ]);
  expect(await eventTypes(test, app.guid)).toEqual(['app.create', 'app.droplet.mapped', 'app.process.create']);
});

test.each(['revisions', 'revisions/deployed', 'tasks', 'sidecars'])('GET /v3/apps/:guid/%s is empty', async part => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const { status, body } = await test.api('GET', `/v3/apps/${app.guid}/${part}?order_by=-created_at`, {
    token: test.admin,
  });
  expect(status).toBe(200);
  expect(body).toMatchObject({ resources: [], pagination: { total_results: 0, next: null } });
});

test('POST /v3/apps/:guid/tasks of an app without a droplet says what is missing', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const answer = await test.api('POST', `/v3/apps/${app.guid}/tasks`, { token: test.admin, body: { command: 'ls' } });
  expect(answer.status).toBe(422);
  expect(details(answer)[0]).toMatch(/^Task must have a droplet\./);
});
