import { aDroplet } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { details, eventTypes, makeStagedApp, makeStartedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const act = (test: TestApi, app: Json, action: string) =>
  test.api('POST', `/v3/apps/${app.guid}/actions/${action}`, { token: test.admin });

const setEnv = (test: TestApi, app: Json, variables: Record<string, string | null>) =>
  test.api('PATCH', `/v3/apps/${app.guid}/environment_variables`, { token: test.admin, body: { var: variables } });

const list = async (test: TestApi, app: Json, rest = ''): Promise<Json[]> =>
  (await test.api('GET', `/v3/apps/${app.guid}/revisions${rest}`, { token: test.admin })).body.resources;

const rollBack = (test: TestApi, app: Json, guid: string) =>
  test.api('POST', '/v3/deployments', {
    token: test.admin,
    body: { relationships: { app: { data: { guid: app.guid } } }, revision: { guid }, strategy: 'rolling' },
  });

test('each start and restart that changes something makes a revision, in CF’s words', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  await act(test, app, 'restart');
  await setEnv(test, app, { A: 'b' });
  await act(test, app, 'restart');
  await test.api('PATCH', `/v3/apps/${app.guid}/processes/web`, { token: test.admin, body: { command: 'mine' } });
  await act(test, app, 'stop');
  await act(test, app, 'start');
  const revisions = await list(test, app);
  expect(revisions.map(({ version, description }) => [version, description])).toEqual([
    [1, 'Initial revision.'],
    [2, 'New environment variables deployed.'],
    [3, "Custom start command added for 'web' process."],
  ]);
  expect(revisions[2]).toMatchObject({ processes: { web: { command: 'mine' } }, sidecars: [], deployable: true });
  expect(await eventTypes(test, app.guid)).toEqual(expect.arrayContaining(Array(3).fill('app.revision.create')));
});

test('what is deployed is what the processes run; filters of the list', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  await setEnv(test, app, { A: 'b' });
  await act(test, app, 'restart');
  expect((await list(test, app, '/deployed')).map(({ version }) => version)).toEqual([2]);
  expect((await list(test, app, '?versions=1')).map(({ version }) => version)).toEqual([1]);
  expect(await list(test, app, '?versions=x')).toEqual([]);
  expect((await list(test, app, '?order_by=-created_at')).map(({ version }) => version)).toEqual([2, 1]);
  await act(test, app, 'stop');
  expect(await list(test, app, '/deployed')).toEqual([]);
});

test('an app with revisions switched off has none, and cannot go back to one', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  const feature = `/v3/apps/${app.guid}/features/revisions`;
  await test.api('PATCH', feature, { token: test.admin, body: { enabled: false } });
  await act(test, app, 'start');
  expect(await list(test, app)).toEqual([]);
  expect(details(await rollBack(test, app, 'any'))).toEqual([
    'Cannot create deployment from a revision for an app without revisions enabled',
  ]);
});

test('the environment of a revision is for those who may read secrets, and being read is an event', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  await setEnv(test, app, { SECRET: 's' });
  await act(test, app, 'start');
  const [revision] = await list(test, app);
  const path = `/v3/revisions/${revision.guid}/environment_variables`;
  expect((await test.api('GET', path, { token: test.admin })).body.var).toEqual({ SECRET: 's' });
  expect(await eventTypes(test, app.guid)).toContain('app.revision.environment_variables.show');
  const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
  expect((await test.api('GET', path, { token: auditor.token })).status).toBe(403);
  expect((await test.api('GET', `/v3/revisions/${revision.guid}`, { token: auditor.token })).status).toBe(200);
  const outsider = await test.userWith();
  expect(details(await test.api('GET', path, { token: outsider.token }))).toEqual(['Revision not found']);
});

test('a rollback brings droplet, environment and command of the revision back, as a new revision', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  await setEnv(test, app, { A: 'old' });
  await act(test, app, 'start');
  const droplet = await aDroplet(test.deps.store, { app_guid: app.guid });
  const as = { token: test.admin };
  await test.api('PATCH', `/v3/apps/${app.guid}/relationships/current_droplet`, {
    ...as,
    body: { data: { guid: droplet.guid } },
  });
  await setEnv(test, app, { A: 'new' });
  await test.api('PATCH', `/v3/apps/${app.guid}/processes/web`, { ...as, body: { command: 'mine' } });
  await act(test, app, 'restart');
  const [first] = await list(test, app);
  const { body } = await rollBack(test, app, first.guid);
  expect(body).toMatchObject({ droplet: { guid: first.droplet.guid }, revision: { version: 3 } });
  const [, , third] = await list(test, app);
  expect(third.description).toBe(
    "Custom start command removed for 'web' process. New droplet deployed. New environment variables deployed. Rolled back to revision 1.",
  );
  const variables = await test.api('GET', `/v3/apps/${app.guid}/environment_variables`, as);
  expect(variables.body.var).toEqual({ A: 'old' });
  const fresh = await test.api('GET', `/v3/processes/${body.new_processes[0].guid}`, as);
  expect(fresh.body.relationships.revision).toEqual({ data: { guid: third.guid } });
  expect(fresh.body.command).not.toBe('mine');
});

test('a rollback to what is deployed, or to a droplet that is gone, is refused', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const [first] = await list(test, app);
  expect(details(await rollBack(test, app, first.guid))[0]).toMatch(/^Unable to rollback\./);
  await test.deps.store.mutate(({ db }) => db.updateTable('droplets').set({ state: 'EXPIRED' }).execute());
  expect(details(await rollBack(test, app, first.guid))).toEqual([
    'Unable to deploy this revision, the droplet for this revision no longer exists.',
  ]);
  expect((await list(test, app))[0].deployable).toBe(false);
});

test('PATCH /v3/revisions/:guid labels it', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const [first] = await list(test, app);
  const body = { metadata: { labels: { good: 'yes' } } };
  const answer = await test.api('PATCH', `/v3/revisions/${first.guid}`, { token: test.admin, body });
  expect(answer.body.metadata.labels).toEqual({ good: 'yes' });
  expect(await list(test, app, '?label_selector=good')).toHaveLength(1);
});
