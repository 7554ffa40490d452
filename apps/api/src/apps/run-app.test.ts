import { aQuota } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { apiLines, details, eventTypes, makeApp, makeStagedApp, makeStartedApp } from './fixtures.ts';

const act = (test: TestApi, guid: string, action: string) =>
  test.api('POST', `/v3/apps/${guid}/actions/${action}`, { token: test.admin });

const specs = ({ deps: { store } }: TestApi) =>
  store.read.selectFrom('run_specs').selectAll().orderBy('created_at').execute();

const web = ({ deps: { store } }: TestApi) => store.read.selectFrom('processes').selectAll().executeTakeFirstOrThrow();

test.each(['start', 'restart'])(
  'actions/%s without a droplet is 422 in the words that the cf CLI knows',
  async action => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const answer = await act(test, app.guid, action);
    expect(answer.status).toBe(422);
    expect(details(answer)).toEqual(['Assign a droplet before starting this app.']);
    expect((await test.api('GET', `/v3/apps/${app.guid}`, { token: test.admin })).body.state).toBe('STOPPED');
  },
);

test('start, stop, restart: an empty JSON body will do; each has its event and its line', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  const empty = { token: test.admin, headers: { 'content-type': 'application/json' } };
  const states = [];
  for (const action of ['start', 'stop', 'restart'])
    states.push((await test.api('POST', `/v3/apps/${app.guid}/actions/${action}`, empty)).body.state);
  expect(states).toEqual(['STARTED', 'STOPPED', 'STARTED']);
  expect(await eventTypes(test, app.guid)).toEqual(expect.arrayContaining(['app.start', 'app.stop', 'app.restart']));
  expect((await apiLines(test, app.guid)).slice(-3)).toEqual([
    `Starting app with guid ${app.guid}`,
    `Stopping app with guid ${app.guid}`,
    `Restarted app with guid ${app.guid}`,
  ]);
});

test('a start of what is started changes nothing that runs; a restart fixes it anew', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const first = await web(test);
  await act(test, app.guid, 'start');
  expect(await web(test)).toEqual(first);
  await act(test, app.guid, 'restart');
  const third = await web(test);
  expect(third.run_spec_guid).not.toBe(first.run_spec_guid);
  expect(third.start_sequence).toBe(first.start_sequence + 1);
});

test('set-env counts from the next restart on, not before', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const path = `/v3/apps/${app.guid}/environment_variables`;
  await test.api('PATCH', path, { token: test.admin, body: { var: { A: 'new' } } });
  const open = (sealed: string) => JSON.parse(test.deps.sealer.open(sealed)).environment;
  expect((await specs(test)).map(spec => open(spec.spec_sealed).A)).toEqual([undefined]);
  test.clock.pass(1);
  await act(test, app.guid, 'restart');
  expect((await specs(test)).map(spec => open(spec.spec_sealed).A)).toEqual([undefined, 'new']);
});

test('a start over the memory quota is refused, and the app stays stopped', async () => {
  await using test = await startTestApi();
  const quota = await aQuota(test.deps.store, { name: 'small', total_memory_mb: 512 });
  await test.deps.store.mutate(({ db }) => db.updateTable('organizations').set({ quota_guid: quota.guid }).execute());
  const app = await makeStagedApp(test);
  const answer = await act(test, app.guid, 'start');
  expect(answer).toMatchObject({
    status: 400,
    body: { errors: [{ code: 100_005, title: 'CF-AppMemoryQuotaExceeded' }] },
  });
  expect((await test.api('GET', `/v3/apps/${app.guid}`, { token: test.admin })).body.state).toBe('STOPPED');
  expect(await specs(test)).toEqual([]);
});
