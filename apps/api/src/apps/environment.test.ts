import { expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { apiLines, details, eventTypes, makeApp } from './fixtures.ts';

const change = (test: TestApi, guid: string, variables: unknown) =>
  test.api('PATCH', `/v3/apps/${guid}/environment_variables`, { token: test.admin, body: { var: variables } });

test('PATCH environment_variables merges: null removes, what is not named stays', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test, { environment_variables: { A: '1', B: '2' } });
  const answer = await change(test, app.guid, { B: null, C: '3', D: null });
  expect(answer).toMatchObject({ status: 200, body: { var: { A: '1', C: '3' } } });
  expect(answer.body.var).not.toHaveProperty('B');
  const shown = await test.api('GET', `/v3/apps/${app.guid}/environment_variables`, { token: test.admin });
  expect(shown.body.var).toEqual({ A: '1', C: '3' });
});

test('no value of a variable gets into events or logs', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  await change(test, app.guid, { SECRET: 'hunter2' });
  const events = await test.deps.store.read.selectFrom('audit_events').select('data_json').execute();
  expect(JSON.stringify([events, await apiLines(test, app.guid)])).not.toContain('hunter2');
  expect((await apiLines(test, app.guid)).at(-1)).toBe(
    `Updated app with guid ${app.guid} ({"environment_variables"=>"[PRIVATE DATA HIDDEN]"})`,
  );
});

test.each([
  [{ PORT: '1' }, 'Var cannot set PORT'],
  [{ VCAP_X: '1' }, 'Var cannot start with VCAP_'],
  [{ '': '1' }, 'Var key must be a minimum length of 1'],
  [{ A: 1 }, "Non-string value in environment variable for key 'A', value '1'"],
  ['text', 'Var must be an object'],
])('PATCH environment_variables with %j is 422', async (variables, text) => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const answer = await change(test, app.guid, variables);
  expect(answer.status).toBe(422);
  expect(details(answer)).toEqual([text]);
});

test('GET env shows what the app finds, and is on record', async () => {
  await using test = await startTestApi();
  await test.api('PATCH', '/v3/environment_variable_groups/running', {
    token: test.admin,
    body: { var: { REGION: 'here' } },
  });
  const app = await makeApp(test, { name: 'shop', environment_variables: { A: '1' } });
  const { body } = await test.api('GET', `/v3/apps/${app.guid}/env`, { token: test.admin });
  expect(body).toMatchObject({
    environment_variables: { A: '1' },
    running_env_json: { REGION: 'here' },
    staging_env_json: {},
    system_env_json: { VCAP_SERVICES: {} },
    application_env_json: {
      VCAP_APPLICATION: { application_id: app.guid, application_name: 'shop', space_name: 'dev' },
    },
  });
  expect(await eventTypes(test, app.guid)).toEqual(['app.create', 'app.environment.show']);
});

test('supporters see variables but not credentials; auditors neither', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test, { environment_variables: { A: '1' } });
  const supporter = await test.userWith({ space_supporter: test.home.spaceGuid });
  const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
  const seen = await test.api('GET', `/v3/apps/${app.guid}/env`, { token: supporter.token });
  expect(seen.body).toMatchObject({
    environment_variables: { A: '1' },
    system_env_json: { redacted_message: '[PRIVATE DATA HIDDEN]' },
  });
  expect((await test.api('GET', `/v3/apps/${app.guid}/env`, { token: auditor.token })).status).toBe(403);
});

test('a flag hides variables from everyone but admins', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  await test.api('PATCH', '/v3/feature_flags/env_var_visibility', { token: test.admin, body: { enabled: false } });
  const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
  const path = `/v3/apps/${app.guid}/environment_variables`;
  expect(await test.api('GET', path, { token })).toMatchObject({
    status: 403,
    body: { errors: [{ code: 330_002, detail: 'Feature Disabled: env_var_visibility' }] },
  });
  expect((await test.api('GET', path, { token: test.admin })).status).toBe(200);
});
