import { aCell } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { details } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';

const PATH = '/v3/isolation_segments';
const names = ({ body }: TestAnswer): string[] => body.resources.map((one: Json) => one.name);
const call = (test: TestApi, method: string, path: string, body?: unknown) =>
  test.api(method, path, { token: test.admin, ...(body === undefined ? {} : { body }) });
async function make(test: TestApi, name = 'secret'): Promise<string> {
  return (await call(test, 'POST', PATH, { name })).body.guid;
}
const entitle = (test: TestApi, guid: string, organization = test.home.organizationGuid) =>
  call(test, 'POST', `${PATH}/${guid}/relationships/organizations`, { data: [{ guid: organization }] });

test('the shared segment is always there, and stays as it is', async () => {
  await using test = await startTestApi();
  const { body } = await call(test, 'GET', PATH);
  expect(body.resources).toMatchObject([{ name: 'shared', guid: '933b4c58-120b-499a-b85d-4b6fc9e2903b' }]);
  const path = `${PATH}/${body.resources[0].guid}`;
  expect(details(await call(test, 'PATCH', path, { name: 'x' }))).toEqual([
    'Cannot update the shared Isolation Segment',
  ]);
  expect(details(await call(test, 'DELETE', path))).toEqual(['Cannot delete the shared Isolation Segment']);
});

test('a segment is made, named, and seen by organizations that are entitled to it', async () => {
  await using test = await startTestApi();
  const guid = await make(test);
  const { token } = await test.userWith({ organization_user: test.home.organizationGuid });
  const list = (query = '') => test.api('GET', `${PATH}?${query}`, { token });
  expect(names(await list())).toEqual([]);
  expect((await call(test, 'PATCH', `${PATH}/${guid}`, { name: 'hidden' })).body.name).toBe('hidden');
  expect((await entitle(test, guid)).body.data).toEqual([{ guid: test.home.organizationGuid }]);
  expect(names(await list('names=HIDDEN'))).toEqual(['hidden']);
  expect(names(await list('organization_guids=none'))).toEqual([]);
  expect(names(await test.api('GET', `${PATH}/${guid}/organizations`, { token }))).toEqual(['cupola']);
  expect((await test.api('POST', PATH, { token, body: { name: 'x' } })).status).toBe(403);
  expect(details(await call(test, 'POST', PATH, { name: 'HIDDEN' }))).toEqual([
    'Isolation Segment names are case insensitive and must be unique',
  ]);
  expect(details(await entitle(test, guid, 'none'))).toEqual([
    "Unable to entitle organizations ['none'] for the isolation segment. Ensure the organizations exist.",
  ]);
});

test('is assigned to an organization and a space only when entitled; the answer says when no machine is in it', async () => {
  await using test = await startTestApi();
  const { organizationGuid, spaceGuid } = test.home;
  const guid = await make(test);
  const ofSpace = `/v3/spaces/${spaceGuid}/relationships/isolation_segment`;
  const ofOrganization = `/v3/organizations/${organizationGuid}/relationships/default_isolation_segment`;
  const assign = (path: string, to: unknown = { guid }) => call(test, 'PATCH', path, { data: to });
  expect(details(await assign(ofSpace))[0]).toMatch(/^Unable to assign isolation segment with guid/);
  await entitle(test, guid);
  const assigned = await assign(ofSpace);
  expect([assigned.status, assigned.body.data]).toEqual([200, { guid }]);
  expect(assigned.headers.get('x-cf-warnings')).toContain('No+machine+is+in+the+isolation+segment+secret');
  await aCell(test.deps.store, { segment: 'Secret' });
  expect((await assign(ofSpace)).headers.get('x-cf-warnings')).toBeNull();
  expect((await assign(ofOrganization)).body.data).toEqual({ guid });
  expect((await call(test, 'GET', `${PATH}/${guid}/relationships/spaces`)).body.data).toEqual([{ guid: spaceGuid }]);
  expect(details(await call(test, 'PATCH', `${PATH}/${guid}`, { name: 'x' }))[0]).toMatch(/^Cannot update Isolation/);
  const revoke = () => call(test, 'DELETE', `${PATH}/${guid}/relationships/organizations/${organizationGuid}`);
  expect(details(await revoke())[0]).toContain('as the Default Isolation Segment');
  await assign(ofOrganization, null);
  expect(details(await revoke())[0]).toContain("Currently assigned to: 'dev'");
  await assign(ofSpace, null);
  expect((await call(test, 'GET', ofSpace)).body.data).toBeNull();
  expect(details(await call(test, 'DELETE', `${PATH}/${guid}`))[0]).toMatch(/^Revoke the Organization entitlements/);
  expect((await revoke()).status).toBe(204);
  expect((await call(test, 'DELETE', `${PATH}/${guid}`)).status).toBe(204);
});
