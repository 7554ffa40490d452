import { aDroplet, aQuota } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { apiLines, cliHeaders, details, eventTypes, makeApp, makeStagedApp, makeStartedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const to = (guid: string) => ({ app: { data: { guid } } });

const deploy = (test: TestApi, app: Json, body: Record<string, unknown> = {}, token = test.admin) =>
  test.api('POST', '/v3/deployments', { token, body: { relationships: to(app.guid), ...body } });

const step = (weight: number) => ({ instance_weight: weight });
const canary = (steps: unknown) => ({ strategy: 'canary', options: { canary: { steps } } });

const go = (test: TestApi, guid: string, token = test.admin, headers = {}) =>
  test.api('POST', `/v3/deployments/${guid}/actions/continue`, { token, headers });

/** What the scheduler writes when the canaries of a step serve. */
async function pause({ deps: { store } }: TestApi, guid: string): Promise<void> {
  await store.mutate(async ({ db, changed }) => {
    const paused = { state: 'PAUSED', status_value: 'ACTIVE', status_reason: 'PAUSED' } as const;
    await db.updateTable('deployments').set(paused).where('guid', '=', guid).execute();
    changed('deployment', guid);
  });
}

const cancel = (test: TestApi, guid: string, token = test.admin) =>
  test.api('POST', `/v3/deployments/${guid}/actions/cancel`, { token });

const processes = ({ deps: { store } }: TestApi, appGuid: string) =>
  store.read.selectFrom('processes').selectAll().where('app_guid', '=', appGuid).orderBy('created_at').execute();

/** What the scheduler writes when all of the new process serves. */
async function settle({ deps: { store } }: TestApi, guid: string): Promise<void> {
  await store.mutate(async ({ db, changed }) => {
    const end = { state: 'DEPLOYED', status_value: 'FINALIZED', status_reason: 'DEPLOYED' } as const;
    await db.updateTable('deployments').set(end).where('guid', '=', guid).execute();
    changed('deployment', guid);
  });
}

test('POST /v3/deployments makes a second web process with a run spec of its own; the first runs on as it is', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const droplet = await aDroplet(test.deps.store, { app_guid: app.guid });
  const [before] = await processes(test, app.guid);
  const { status, body } = await deploy(test, app, { droplet: { guid: droplet.guid }, strategy: 'rolling' });
  expect(status).toBe(201);
  const [old, fresh] = await processes(test, app.guid);
  expect(old).toEqual({ ...before, detected_command: old?.detected_command });
  expect(fresh).toMatchObject({ type: 'web', instances: 1, start_sequence: 1, memory_mb: 1024 });
  expect(fresh?.run_spec_guid).not.toBe(old?.run_spec_guid);
  expect(body).toMatchObject({
    status: { value: 'ACTIVE', reason: 'DEPLOYING' },
    strategy: 'rolling',
    options: { max_in_flight: 1 },
    droplet: { guid: droplet.guid },
    previous_droplet: { guid: app.relationships.current_droplet.data.guid },
    new_processes: [{ guid: fresh?.guid, type: 'web' }],
    revision: { version: 2 },
    links: { cancel: { method: 'POST' } },
  });
  expect(await eventTypes(test, app.guid)).toContain('app.deployment.create');
  expect(await apiLines(test, app.guid)).toContain(`Creating deployment for app with guid ${app.guid}`);
});

test('POST /v3/deployments takes the options as the cf CLI sends them, nulls too', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const options = { max_in_flight: 3, web_instances: 5, memory_in_mb: 64, disk_in_mb: null, canary: null };
  const { body } = await deploy(test, app, { options });
  expect(body.options).toEqual({ max_in_flight: 3, web_instances: 5, memory_in_mb: 64 });
  const [, fresh] = await processes(test, app.guid);
  expect(fresh).toMatchObject({ instances: 3, memory_mb: 64, disk_mb: 1024 });
});

test('POST /v3/deployments of a stopped app starts it, and is done', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  const { body } = await deploy(test, app, { options: { web_instances: 2, memory_in_mb: 64 } });
  expect(body).toMatchObject({ status: { value: 'FINALIZED', reason: 'DEPLOYED' }, new_processes: [] });
  expect(await processes(test, app.guid)).toMatchObject([{ instances: 2, memory_mb: 64, start_sequence: 1 }]);
  expect((await test.api('GET', `/v3/apps/${app.guid}`, { token: test.admin })).body.state).toBe('STARTED');
});

test.each([
  [{ strategy: 'blue' }, /^Strategy 'blue' is not a supported deployment strategy$/],
  [{ options: { canary: { steps: [] } } }, /^Options\.canary are only valid for Canary deployments$/],
  [{ strategy: 'canary', options: { canary: 1 } }, /^Options\.canary must be an object$/],
  [canary([{}]), /^Options\.canary\.steps missing key: "instance_weight"$/],
  [canary([{ instance_weight: 1, speed: 1 }]), /^Options\.canary\.steps has unsupported key\(s\): speed$/],
  [canary([101].map(step)), /^Options\.canary\.steps\.instance weight must be an Integer between 1-100 \(inclusive\)$/],
  [canary([50, 20].map(step)), /^Options\.canary\.steps\.instance weight must be sorted in ascending order$/],
  [canary('all'), /^Options\.canary\.steps must be an array of objects$/],
  [{ options: { max_in_flight: 0 } }, /^Max in flight must be an integer greater than 0$/],
  [{ options: { speed: 1 } }, /^Options has unsupported key\(s\): speed$/],
  [{ droplet: { guid: 'd' }, revision: { guid: 'r' } }, /^Droplet Cannot set both fields 'droplet' and 'revision'$/],
  [{ droplet: { guid: 'nobody' } }, /^Unable to assign current droplet\./],
  [{ revision: { guid: 'nobody' } }, /^The revision does not exist$/],
  [{ options: { disk_in_mb: 999_999 } }, /^disk_quota too much disk requested/],
])('POST /v3/deployments refuses %j in its own words', async (body, words) => {
  await using test = await startTestApi();
  const answer = await deploy(test, await makeStartedApp(test), body);
  expect(answer.status).toBe(422);
  expect(details(answer)[0]).toMatch(words);
});

test('POST /v3/deployments of an app without a droplet, or of one that is hidden', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  expect(details(await deploy(test, app))[0]).toMatch(/^Invalid droplet\. Please specify a droplet/);
  const outsider = await test.userWith();
  expect(details(await deploy(test, app, {}, outsider.token))).toEqual([
    'Unable to use app. Ensure that the app exists and you have access to it.',
  ]);
});

test('POST /v3/deployments says when the quota does not allow one instance more', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const app = await makeStartedApp(test);
  const quota = await aQuota(store, { total_instances: 1 });
  await store.mutate(({ db }) => db.updateTable('organizations').set({ quota_guid: quota.guid }).execute());
  const answer = await deploy(test, app);
  expect(answer.status).toBe(422);
  expect(details(answer)[0]).toMatch(
    /may not be large enough to support rolling deployments or your configured max-in-flight\.$/,
  );
  expect(await processes(test, app.guid)).toHaveLength(1);
});

test('a newer deployment supersedes the one on its way, and knows how many instances there were', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const first = (await deploy(test, app, { options: { web_instances: 4 } })).body;
  const second = (await deploy(test, app)).body;
  const shown = await test.api('GET', `/v3/deployments/${first.guid}`, { token: test.admin });
  expect(shown.body.status).toMatchObject({ value: 'FINALIZED', reason: 'SUPERSEDED' });
  const row = await test.deps.store.read
    .selectFrom('deployments')
    .select(['original_instances', 'state'])
    .where('guid', '=', second.guid)
    .executeTakeFirst();
  expect(row).toEqual({ original_instances: 1, state: 'DEPLOYING' });
});

test('actions/cancel gives the app its former droplet back and asks the scheduler for the rest; it may be repeated', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const droplet = await aDroplet(test.deps.store, { app_guid: app.guid });
  const { body } = await deploy(test, app, { droplet: { guid: droplet.guid } });
  expect((await cancel(test, body.guid)).status).toBe(200);
  expect((await cancel(test, body.guid)).status).toBe(200);
  const shown = await test.api('GET', `/v3/deployments/${body.guid}`, { token: test.admin });
  expect(shown.body.status).toMatchObject({ value: 'ACTIVE', reason: 'CANCELING' });
  const current = await test.api('GET', `/v3/apps/${app.guid}/droplets/current`, { token: test.admin });
  expect(current.body.guid).toBe(app.relationships.current_droplet.data.guid);
  expect(await eventTypes(test, app.guid)).toContain('app.deployment.cancel');
});

test('actions/cancel of one that has ended, and actions/continue of any, are 422; who may not is told 404', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const { guid } = (await deploy(test, app)).body;
  const more = await test.api('POST', `/v3/deployments/${guid}/actions/continue`, { token: test.admin });
  expect(details(more)).toEqual(['Cannot continue a deployment with status: ACTIVE and reason: DEPLOYING']);
  const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
  expect(details(await cancel(test, guid, auditor.token))).toEqual(['Deployment not found']);
  await settle(test, guid);
  const late = await cancel(test, guid);
  expect(late.status).toBe(422);
  expect(details(late)).toEqual(['Cannot cancel a deployment with status: FINALIZED and reason: DEPLOYED']);
});

test('a canary deployment begins with the instances of its first step, and goes on from pause to pause to the end', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  await test.api('POST', `/v3/processes/${app.guid}/actions/scale`, { token: test.admin, body: { instances: 4 } });
  const options = { max_in_flight: 3, canary: { steps: [50, 75].map(step) } };
  const { guid, ...made } = (await deploy(test, app, { strategy: 'canary', options })).body;
  expect(made).toMatchObject({
    strategy: 'canary',
    status: { value: 'ACTIVE', reason: 'DEPLOYING', canary: { steps: { current: 1, total: 2 } } },
    options,
  });
  expect(made.links).not.toHaveProperty('continue');
  expect((await processes(test, app.guid))[1]).toMatchObject({ instances: 2 });
  const shown = async () => (await test.api('GET', `/v3/deployments/${guid}`, { token: test.admin })).body;
  await pause(test, guid);
  expect(await shown()).toMatchObject({
    status: { value: 'ACTIVE', reason: 'PAUSED' },
    links: { continue: { href: expect.stringContaining('/actions/continue'), method: 'POST' }, cancel: {} },
  });
  expect((await go(test, guid)).status).toBe(200);
  expect((await shown()).status).toMatchObject({ reason: 'DEPLOYING', canary: { steps: { current: 2, total: 2 } } });
  await pause(test, guid);
  await go(test, guid);
  const row = await test.deps.store.read.selectFrom('deployments').select('state').executeTakeFirst();
  expect(row).toEqual({ state: 'DEPLOYING' });
  const types = await eventTypes(test, app.guid);
  expect(types.filter(type => type === 'app.deployment.continue')).toHaveLength(2);
  expect(await apiLines(test, app.guid)).toContain(`Continuing deployment for app with guid ${app.guid}`);
});

test('a canary deployment without steps is one canary, which may be cancelled or superseded while it is paused', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const first = (await deploy(test, app, { strategy: 'canary' })).body;
  expect(first.status.canary).toEqual({ steps: { current: 1, total: 1 } });
  expect(first.options).toEqual({ max_in_flight: 1 });
  await pause(test, first.guid);
  const scale = await test.api('POST', `/v3/processes/${app.guid}/actions/scale`, {
    token: test.admin,
    body: { instances: 5 },
  });
  expect(details(scale)).toEqual(['Cannot scale this process while a deployment is in flight.']);
  const second = (await deploy(test, app, { strategy: 'canary' })).body;
  const rows = await test.deps.store.read
    .selectFrom('deployments')
    .select(['guid', 'state', 'status_reason'])
    .execute();
  expect(rows.find(({ guid }) => guid === first.guid)).toMatchObject({
    state: 'CANCELED',
    status_reason: 'SUPERSEDED',
  });
  await pause(test, second.guid);
  expect((await cancel(test, second.guid)).status).toBe(200);
});

test('GET of a canary deployment is held until it pauses, for who made it and for who lets it go on', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const poll = async (asked: { token: string; headers: Record<string, string> }) => {
    const held = test.api('GET', `/v3/deployments/${guid}`, asked);
    await pause(test, guid);
    return (await held).body.status.reason;
  };
  const maker = { token: test.admin, headers: cliHeaders() };
  const body = { relationships: to(app.guid), ...canary([20, 40].map(step)) };
  const { guid } = (await test.api('POST', '/v3/deployments', { ...maker, body })).body;
  expect(await poll(maker)).toBe('PAUSED');
  const other = { token: test.admin, headers: cliHeaders() };
  await go(test, guid, test.admin, other.headers);
  expect(await poll(other)).toBe('PAUSED');
});

test('while a deployment is in flight its web process is neither scaled nor set, and the droplet stays', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  await deploy(test, app);
  const as = { token: test.admin };
  const scale = await test.api('POST', `/v3/apps/${app.guid}/processes/web/actions/scale`, {
    ...as,
    body: { instances: 5 },
  });
  expect(details(scale)).toEqual(['Cannot scale this process while a deployment is in flight.']);
  const set = await test.api('PATCH', `/v3/apps/${app.guid}/processes/web`, { ...as, body: { command: 'other' } });
  expect(details(set)).toEqual(['Cannot update this process while a deployment is in flight.']);
  const droplet = await test.api('PATCH', `/v3/apps/${app.guid}/relationships/current_droplet`, {
    ...as,
    body: { data: { guid: app.relationships.current_droplet.data.guid } },
  });
  expect(details(droplet)[0]).toMatch(/^Unable to assign droplet while the app has a deployment in progress\./);
});

test('GET /v3/deployments/:guid is held for the command that made it until it is final, and for nobody else', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const headers = cliHeaders();
  const asked = { token: test.admin, headers };
  const made = await test.api('POST', '/v3/deployments', { ...asked, body: { relationships: to(app.guid) } });
  const path = `/v3/deployments/${made.body.guid}`;
  const reader = await test.api('GET', path, { token: test.admin, headers: cliHeaders() });
  expect(reader.body.status.value).toBe('ACTIVE');
  const poll = test.api('GET', path, asked);
  await settle(test, made.body.guid);
  expect((await poll).body.status).toMatchObject({ value: 'FINALIZED', reason: 'DEPLOYED' });
});

test('GET of a rolling deployment that goes on for long is answered when its first instance serves: push --no-wait ends', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const asked = { token: test.admin, headers: cliHeaders() };
  const body = { relationships: to(app.guid), options: { web_instances: 10 } };
  const made = await test.api('POST', '/v3/deployments', { ...asked, body });
  const answer = test.api('GET', `/v3/deployments/${made.body.guid}`, asked);
  const began = test.clock.now();
  await test.deps.store.mutate(async ({ db, changed }) => {
    const guid = made.body.new_processes[0].guid;
    await db
      .updateTable('deployments')
      .set({ last_healthy_at: began + 1_000 })
      .execute();
    await db.updateTable('processes').set({ instances: 2 }).where('guid', '=', guid).execute();
    changed('process', guid);
  });
  expect((await answer).body.status).toMatchObject({ value: 'ACTIVE', reason: 'DEPLOYING' });
});

test('GET /v3/deployments filters by app, state, status and label; PATCH labels', async () => {
  await using test = await startTestApi();
  const [one, two] = [await makeStartedApp(test), await makeStartedApp(test)];
  const first = (await deploy(test, one, { metadata: { labels: { env: 'a' } } })).body;
  const second = (await deploy(test, two)).body;
  await settle(test, second.guid);
  const labels = { metadata: { labels: { env: 'b' } } };
  await test.api('PATCH', `/v3/deployments/${second.guid}`, { token: test.admin, body: labels });
  const list = async (query: string) =>
    (await test.api('GET', `/v3/deployments?${query}`, { token: test.admin })).body.resources.map(
      ({ guid }: Json) => guid,
    );
  expect(await list(`app_guids=${one.guid}`)).toEqual([first.guid]);
  expect(await list('status_values=ACTIVE')).toEqual([first.guid]);
  expect(await list('status_reasons=DEPLOYED,CANCELED')).toEqual([second.guid]);
  expect(await list('states=DEPLOYED')).toEqual([second.guid]);
  expect(await list('label_selector=env%3Db')).toEqual([second.guid]);
});
