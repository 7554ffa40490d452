import { expect, test } from 'vitest';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';
import { details, makeApp } from './fixtures.ts';

const feature = (test: TestApi, guid: string, name: string, body?: unknown) =>
  test.api(body === undefined ? 'GET' : 'PATCH', `/v3/apps/${guid}/features/${name}`, { token: test.admin, body });

test('features of an app: listed, shown, switched', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const list = await test.api('GET', `/v3/apps/${app.guid}/features`, { token: test.admin });
  expect(list.body.resources.map(({ name, enabled }: Json) => [name, enabled])).toEqual([
    ['ssh', true],
    ['revisions', true],
    ['service-binding-k8s', false],
    ['file-based-vcap-services', false],
  ]);
  expect((await feature(test, app.guid, 'ssh', { enabled: false })).body).toEqual({
    name: 'ssh',
    description: 'Enable SSHing into the app.',
    enabled: false,
  });
  expect((await feature(test, app.guid, 'ssh')).body.enabled).toBe(false);
});

test('a feature that is not built cannot be switched on, and can be switched off', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const name = 'service-binding-k8s';
  const on = await feature(test, app.guid, name, { enabled: true });
  expect(on.status).toBe(422);
  expect(details(on)[0]).toMatch(/^'service-binding-k8s' is not supported yet/);
  expect((await feature(test, app.guid, name, { enabled: false })).status).toBe(200);
});

test('an unknown feature is 404', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  expect(details(await feature(test, app.guid, 'nothing'))).toEqual(['Feature not found']);
  expect(details(await feature(test, app.guid, 'nothing', { enabled: true }))).toEqual(['Feature not found']);
});

test('ssh_enabled says that ssh does not reach apps yet', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const { body } = await test.api('GET', `/v3/apps/${app.guid}/ssh_enabled`, { token: test.admin });
  expect(body).toEqual({ enabled: false, reason: 'ssh is disabled globally' });
});

test.each([
  ['space_developer', true],
  ['space_auditor', false],
  ['space_supporter', false],
] as const)('permissions of a %s: sensitive data %s', async (role, mayRead) => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const { token } = await test.userWith({ [role]: test.home.spaceGuid });
  const { body } = await test.api('GET', `/v3/apps/${app.guid}/permissions`, { token });
  expect(body).toEqual({ read_basic_data: true, read_sensitive_data: mayRead });
});
