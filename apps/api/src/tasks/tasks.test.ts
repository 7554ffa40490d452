import type { RunSpec } from '@cupola/model/run-spec';
import { aDroplet, aQuota, testSealer } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { details, eventTypes, makeApp, makeStagedApp, makeStartedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const run = (
  test: TestApi,
  app: Json,
  body: Record<string, unknown> = { command: 'rake db:migrate' },
  token = test.admin,
) => test.api('POST', `/v3/apps/${app.guid}/tasks`, { token, body });

const cancel = (test: TestApi, guid: string, token = test.admin) =>
  test.api('PUT', `/v3/tasks/${guid}/cancel`, { token });

async function specOf({ deps: { store } }: TestApi, taskGuid: string): Promise<RunSpec> {
  const row = await store.read
    .selectFrom('run_specs')
    .select('spec_sealed')
    .where('process_guid', '=', taskGuid)
    .executeTakeFirstOrThrow();
  return JSON.parse(testSealer.open(row.spec_sealed)) as RunSpec;
}

/** What the scheduler writes when it has ended. */
const end = ({ deps: { store } }: TestApi, guid: string) =>
  store.mutate(({ db }) =>
    db.updateTable('tasks').set({ state: 'SUCCEEDED', ended_at: 1 }).where('guid', '=', guid).execute(),
  );

test('POST tasks answers 202 with a PENDING task, as cf run-task sends it', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  const { status, body } = await run(test, app, { command: 'ls -l', name: 'list', memory_in_mb: 64, disk_in_mb: 128 });
  expect(status).toBe(202);
  expect(body).toMatchObject({
    sequence_id: 1,
    name: 'list',
    command: 'ls -l',
    user: 'vcap',
    state: 'PENDING',
    memory_in_mb: 64,
    disk_in_mb: 128,
    log_rate_limit_in_bytes_per_second: 1024 * 1024,
    result: { failure_reason: null },
    droplet_guid: app.relationships.current_droplet?.data?.guid ?? expect.any(String),
    links: { cancel: { href: expect.stringContaining(`/v3/tasks/${body.guid}/actions/cancel`), method: 'POST' } },
  });
  expect((await run(test, app)).body).toMatchObject({ sequence_id: 2, name: expect.stringMatching(/^[0-9a-f]{8}$/) });
  expect(await eventTypes(test, app.guid)).toContain('app.task.create');
});

test('a task is billed from its creation on, and no longer than there is its app', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test, { app: { name: 'shop' } });
  const task = (await run(test, app, { command: 'x', name: 'm', memory_in_mb: 64 })).body;
  await test.api('DELETE', `/v3/apps/${app.guid}`, { token: test.admin });
  const events = await test.api('GET', '/v3/app_usage_events', { token: test.admin });
  expect(events.body.resources.map(({ state }: Json) => state.current)).toEqual(['TASK_STARTED', 'TASK_STOPPED']);
  expect(events.body.resources[1]).toMatchObject({
    app: { guid: app.guid, name: 'shop' },
    task: { guid: task.guid, name: 'm' },
    memory_in_mb_per_instance: { current: 64, previous: 64 },
  });
});

test('a task gets the environment of its app and facts of its own, and nobody asks for its health', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  const variables = { var: { DATABASE_URL: 'postgres://' } };
  await test.api('PATCH', `/v3/apps/${app.guid}/environment_variables`, { token: test.admin, body: variables });
  const { body } = await run(test, app, { command: 'migrate', name: 'm', memory_in_mb: 256 });
  const spec = await specOf(test, body.guid);
  expect(spec).toMatchObject({ taskName: 'm', command: 'migrate', memoryMb: 256, processGuid: body.guid });
  expect(spec.healthCheck.type).toBe('process');
  expect(spec.environment).toMatchObject({ DATABASE_URL: 'postgres://', MEMORY_LIMIT: '256m', VCAP_SERVICES: '{}' });
  const facts = JSON.parse(spec.environment.VCAP_APPLICATION ?? '');
  expect(facts).toMatchObject({ application_id: app.guid, limits: { mem: 256 } });
  expect(facts).not.toHaveProperty('process_type');
});

test('a template gives command and sizes of a process; what the body says goes over it', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  const process = `/v3/apps/${app.guid}/processes/web`;
  const as = { token: test.admin };
  await test.api('PATCH', process, { ...as, body: { command: 'serve' } });
  await test.api('POST', `${process}/actions/scale`, { ...as, body: { memory_in_mb: 300, disk_in_mb: 400 } });
  const { body } = await run(test, app, { template: { process: { guid: app.guid } }, disk_in_mb: 100 });
  expect(body).toMatchObject({ command: 'serve', memory_in_mb: 300, disk_in_mb: 100 });
});

test.each([
  [{}, 'Command No command or template provided'],
  [{ command: 'x', memory_in_mb: 0 }, 'Memory in mb must be greater than 0'],
  [{ command: 'x', disk_in_mb: 99_999 }, 'Cannot request disk_in_mb greater than 2048'],
  [{ command: 'x'.repeat(4_097) }, 'Command must be shorter than 4097 characters'],
  [{ command: 'x', user: 'root' }, "User invalid, must be one of: 'vcap'"],
])('POST tasks refuses %#', async (body, words) => {
  await using test = await startTestApi();
  const answer = await run(test, await makeStagedApp(test), body);
  expect(answer.status).toBe(422);
  expect(details(answer)).toEqual([words]);
});

test('POST tasks wants a droplet: the current one, or another of the same app', async () => {
  await using test = await startTestApi();
  const bare = await makeApp(test);
  expect(details(await run(test, bare))).toEqual([
    'Task must have a droplet. Specify droplet or assign current droplet to app.',
  ]);
  const [app, other] = [await makeStagedApp(test), await makeStagedApp(test)];
  const theirs = await aDroplet(test.deps.store, { app_guid: other.guid });
  expect((await run(test, app, { command: 'x', droplet_guid: theirs.guid })).status).toBe(404);
  const older = await aDroplet(test.deps.store, { app_guid: app.guid });
  expect((await run(test, app, { command: 'x', droplet_guid: older.guid })).body.droplet_guid).toBe(older.guid);
});

test.each([
  [{ per_app_tasks: 1 }, /^app_task_limit quota exceeded/],
  [{ total_memory_mb: 1_500 }, /^memory_in_mb exceeds organization memory quota/],
  [{ per_process_memory_mb: 512 }, /^memory_in_mb exceeds organization instance memory quota/],
])('the quota %j counts tasks that have not ended', async (limits, words) => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const app = await makeStagedApp(test);
  const first = await run(test, app, { command: 'x', memory_in_mb: 512 });
  const quota = await aQuota(store, limits);
  await store.mutate(({ db }) => db.updateTable('organizations').set({ quota_guid: quota.guid }).execute());
  const refused = await run(test, app, { command: 'x', memory_in_mb: 1_000 });
  expect(refused.status).toBe(422);
  expect(details(refused)[0]).toMatch(words);
  await end(test, first.body.guid);
  expect((await run(test, app, { command: 'x', memory_in_mb: 500 })).status).toBe(202);
});

test('cancel makes it CANCELING, by either path and as often as one likes; what has ended stays', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  const { guid } = (await run(test, app)).body;
  expect((await cancel(test, guid)).body.state).toBe('CANCELING');
  const again = await test.api('POST', `/v3/tasks/${guid}/actions/cancel`, { token: test.admin });
  expect(again.status).toBe(202);
  expect(await eventTypes(test, app.guid)).toContain('app.task.cancel');
  await end(test, guid);
  const late = await cancel(test, guid);
  expect(late.status).toBe(422);
  expect(details(late)).toEqual(['Task state is SUCCEEDED and therefore cannot be canceled']);
});

test('lists filter; the command is for those who may read secrets, and never in the list of all', async () => {
  await using test = await startTestApi();
  const [one, two] = [await makeStagedApp(test), await makeStagedApp(test)];
  const first = (await run(test, one, { command: 'x', name: 'a', metadata: { labels: { k: 'v' } } })).body;
  const second = (await run(test, one, { command: 'x', name: 'b' })).body;
  const third = (await run(test, two, { command: 'x', name: 'a' })).body;
  await end(test, second.guid);
  const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
  const ask = async (path: string, token = test.admin): Promise<Json[]> =>
    (await test.api('GET', path, { token })).body.resources;
  const guids = async (path: string) => (await ask(path)).map(({ guid }) => guid).toSorted();
  expect(await guids(`/v3/apps/${one.guid}/tasks?sequence_ids=2`)).toEqual([second.guid]);
  expect(await guids('/v3/tasks?names=a')).toEqual([first.guid, third.guid].toSorted());
  expect(await guids('/v3/tasks?states=SUCCEEDED')).toEqual([second.guid]);
  expect(await guids(`/v3/tasks?app_guids=${two.guid}&space_guids=${test.home.spaceGuid}`)).toEqual([third.guid]);
  expect(await guids(`/v3/tasks?organization_guids=${test.home.organizationGuid}&label_selector=k`)).toEqual([
    first.guid,
  ]);
  expect((await ask(`/v3/apps/${one.guid}/tasks`))[0]).toHaveProperty('command', 'x');
  expect((await ask(`/v3/apps/${one.guid}/tasks`, auditor.token))[0]).not.toHaveProperty('command');
  expect((await ask('/v3/tasks'))[0]).not.toHaveProperty('command');
});

test('PATCH /v3/tasks/:guid labels it; who may not see the app sees no task', async () => {
  await using test = await startTestApi();
  const { guid } = (await run(test, await makeStagedApp(test))).body;
  const body = { metadata: { annotations: { why: 'because' } } };
  const answer = await test.api('PATCH', `/v3/tasks/${guid}`, { token: test.admin, body });
  expect(answer.body.metadata.annotations).toEqual({ why: 'because' });
  const outsider = await test.userWith();
  expect(details(await test.api('GET', `/v3/tasks/${guid}`, { token: outsider.token }))).toEqual(['Task not found']);
});
