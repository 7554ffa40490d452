import type { RunSpec } from '@cupola/model/run-spec';
import { testSealer } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { details, makeApp, makeStagedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const HELPER = { name: 'helper', command: 'help', process_types: ['web', 'worker'], memory_in_mb: 100 };

const make = (test: TestApi, app: Json, body: Record<string, unknown> = {}) =>
  test.api('POST', `/v3/apps/${app.guid}/sidecars`, { token: test.admin, body: { ...HELPER, ...body } });

async function webSpec({ deps: { store } }: TestApi, app: Json): Promise<RunSpec> {
  const row = await store.read
    .selectFrom('run_specs')
    .innerJoin('processes', 'processes.run_spec_guid', 'run_specs.guid')
    .select('spec_sealed')
    .where('processes.app_guid', '=', app.guid)
    .executeTakeFirstOrThrow();
  return JSON.parse(testSealer.open(row.spec_sealed)) as RunSpec;
}

test('a sidecar is made, shown, listed by app and by process, changed and deleted', async () => {
  await using test = await startTestApi();
  const as = { token: test.admin };
  const app = await makeApp(test);
  const made = await make(test, app);
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({ ...HELPER, origin: 'user', relationships: { app: { data: { guid: app.guid } } } });
  const path = `/v3/sidecars/${made.body.guid}`;
  expect((await test.api('GET', path, as)).body).toEqual(made.body);
  const names = async (list: string) => (await test.api('GET', list, as)).body.resources.map(({ name }: Json) => name);
  expect(await names(`/v3/apps/${app.guid}/sidecars`)).toEqual(['helper']);
  expect(await names(`/v3/processes/${app.guid}/sidecars`)).toEqual(['helper']);
  const changed = await test.api('PATCH', path, { ...as, body: { process_types: ['worker'], memory_in_mb: null } });
  expect(changed.body).toMatchObject({ command: 'help', process_types: ['worker'], memory_in_mb: null });
  expect(await names(`/v3/processes/${app.guid}/sidecars`)).toEqual([]);
  expect((await test.api('DELETE', path, as)).status).toBe(204);
  expect(details(await test.api('GET', path, as))).toEqual(['Sidecar not found']);
});

test.each([
  [{ name: '' }, "Name can't be blank"],
  [{ process_types: [] }, 'Process types must have at least 1 process_type'],
  [{ command: 7 }, 'Command must be a string'],
  [{ memory_in_mb: 1_024 }, 'The memory allocation defined is too large to run with the dependent "web" process'],
])('POST sidecars refuses %j', async (body, words) => {
  await using test = await startTestApi();
  const answer = await make(test, await makeApp(test), body);
  expect(answer.status).toBe(422);
  expect(details(answer)).toEqual([words]);
});

test('names are one in an app, and memory of all together is less than the process has', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  await make(test, app, { memory_in_mb: 600 });
  expect(details(await make(test, app))).toEqual(["Sidecar with name 'helper' already exists for given app"]);
  expect((await make(test, app, { name: 'other', memory_in_mb: 424 })).status).toBe(422);
  expect((await make(test, app, { name: 'other', memory_in_mb: 423 })).status).toBe(201);
});

test('a start fixes the sidecars of each process; what they were promised is not the command’s memory', async () => {
  await using test = await startTestApi();
  const app = await makeStagedApp(test);
  await make(test, app);
  await make(test, app, { name: 'elsewhere', process_types: ['worker'], memory_in_mb: null });
  await test.api('POST', `/v3/apps/${app.guid}/actions/start`, { token: test.admin });
  const spec = await webSpec(test, app);
  expect(spec.sidecars).toEqual([{ name: 'helper', command: 'help', memoryMb: 100 }]);
  expect(spec.environment.MEMORY_LIMIT).toBe('924m');
});

test('sidecars of a manifest are made, changed by their name, and shown in the manifest of the app', async () => {
  await using test = await startTestApi();
  const as = { token: test.admin };
  const apply = (sidecar: string) =>
    test.api('POST', `/v3/spaces/${test.home.spaceGuid}/actions/apply_manifest`, {
      ...as,
      yaml: `applications:\n- name: beside\n  sidecars:\n  - ${sidecar}\n`,
    });
  const bad = await apply('{ name: helper, process_types: [web] }');
  expect(bad.status).toBe(422);
  expect(details(bad)[0]).toContain('Sidecar "helper": Command can\'t be blank');
  expect((await apply('{ name: helper, command: one, process_types: [web], memory: 64M }')).status).toBe(202);
  expect((await apply('{ name: helper, command: two, process_types: [web] }')).status).toBe(202);
  const [app] = (await test.api('GET', '/v3/apps?names=beside', as)).body.resources;
  const manifest = await test.api('GET', `/v3/apps/${app.guid}/manifest`, as);
  expect(manifest.body).toContain('sidecars:');
  expect((await test.api('GET', `/v3/apps/${app.guid}/sidecars`, as)).body.resources).toMatchObject([
    { name: 'helper', command: 'two', memory_in_mb: 64 },
  ]);
});
