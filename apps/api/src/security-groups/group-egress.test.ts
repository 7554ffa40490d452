import { DEFAULT_EGRESS, type EgressRule, egressOf, type SecurityRule } from '@cupola/model/egress';
import type { RunSpec } from '@cupola/model/run-spec';
import { aBuild, aCell, aPackage, aSpace } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { details, makeApp, makeStartedApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';
import { aRegistration, callInternal } from '../internal/fixtures.ts';

const PATH = '/v3/security_groups';
const DATABASE: SecurityRule = { protocol: 'tcp', destination: '10.0.0.0/8', ports: '5432' };
const withDatabase = egressOf([DATABASE]);

async function make(test: TestApi, body: Record<string, unknown> = {}): Promise<Json> {
  const made = await test.api('POST', PATH, { token: test.admin, body: { name: 'db', rules: [DATABASE], ...body } });
  expect(made.status).toBe(201);
  return made.body;
}
const boundTo = (phase: 'running' | 'staging', guid: string) => ({
  relationships: { [`${phase}_spaces`]: { data: [{ guid }] } },
});

async function specs({ deps: { store, sealer } }: TestApi): Promise<RunSpec[]> {
  const rows = await store.read.selectFrom('run_specs').select('spec_sealed').orderBy('created_at').execute();
  return rows.map(({ spec_sealed }) => JSON.parse(sealer.open(spec_sealed)) as RunSpec);
}
const newest = async (test: TestApi): Promise<EgressRule[] | undefined> => (await specs(test)).at(-1)?.egress;
const restart = async (test: TestApi, app: Json): Promise<EgressRule[] | undefined> => {
  test.clock.pass(1_000);
  const { status } = await test.api('POST', `/v3/apps/${app.guid}/actions/restart`, { token: test.admin });
  expect(status).toBe(200);
  return newest(test);
};

test('an app reaches what the groups of all spaces say at its start; a change counts from its next one', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  expect(await newest(test)).toEqual(DEFAULT_EGRESS);
  const { guid } = await make(test, boundTo('running', test.home.spaceGuid));
  expect((await specs(test)).map(({ egress }) => egress)).toEqual([DEFAULT_EGRESS]);
  const merged = await restart(test, app);
  expect(merged).toEqual(expect.arrayContaining([...DEFAULT_EGRESS, ...withDatabase]));
  await test.api('DELETE', `${PATH}/${guid}/relationships/running_spaces/${test.home.spaceGuid}`, {
    token: test.admin,
  });
  expect(await restart(test, app)).toEqual(DEFAULT_EGRESS);
});

test('groups of another space, and those for builds, are not for the apps of this one', async () => {
  await using test = await startTestApi();
  const elsewhere = await aSpace(test.deps.store);
  await make(test, { name: 'other', ...boundTo('running', elsewhere.guid) });
  await make(test, { name: 'builds', ...boundTo('staging', test.home.spaceGuid) });
  await make(test, { name: 'all-builds', globally_enabled: { staging: true } });
  await makeStartedApp(test);
  expect(await newest(test)).toEqual(DEFAULT_EGRESS);
});

test('without any group an app reaches nothing', async () => {
  await using test = await startTestApi();
  const groups = (await test.api('GET', PATH, { token: test.admin })).body.resources as Json[];
  for (const { guid } of groups) await test.api('DELETE', `${PATH}/${guid}`, { token: test.admin });
  await makeStartedApp(test);
  expect(await newest(test)).toEqual([]);
});

test('a task reaches what a running app does', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  await make(test, boundTo('running', test.home.spaceGuid));
  test.clock.pass(1_000);
  await test.api('POST', `/v3/apps/${app.guid}/tasks`, { token: test.admin, body: { command: 'migrate' } });
  expect(await newest(test)).toEqual(expect.arrayContaining(withDatabase));
});

test('a build reaches what the groups for staging say when it begins', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const app = await makeApp(test);
  const pack = await aPackage(store, {
    app_guid: app.guid,
    state: 'READY',
    digest: 'a'.repeat(64),
    size_bytes: 7,
  });
  const build = await aBuild(store, { app_guid: app.guid, package_guid: pack.guid, created_at: test.clock.now() });
  await make(test, { name: 'apps', ...boundTo('running', test.home.spaceGuid) });
  const registry: SecurityRule = { protocol: 'tcp', destination: '172.16.0.9', ports: '443' };
  await make(test, { name: 'registry', rules: [registry], ...boundTo('staging', test.home.spaceGuid) });
  const order = await callInternal(test.socketPath, 'POST', `/internal/builds/${build.guid}/claim`, { stager: 's' });
  expect(order.body).toMatchObject({ egress: expect.arrayContaining(egressOf([registry])) });
  expect(order.body.egress).toHaveLength(DEFAULT_EGRESS.length + 1);
});

/** Addresses that do not touch. */
const apart = (first: number, count: number): string =>
  Array.from({ length: count }, (_, index) => `10.${first}.${Math.floor(index / 100)}.${(index % 100) * 2}`).join(',');

test('more than a machine holds is refused, when it is written, bound or made for all', async () => {
  await using test = await startTestApi();
  const token = test.admin;
  const { spaceGuid } = test.home;
  const sentence = /one space would open \d+ ranges of addresses and ports, and a machine holds 3000/;
  const large = (first: number, count: number) => ({ rules: [{ protocol: 'all', destination: apart(first, count) }] });
  const refused = (answer: TestAnswer): void => {
    expect([answer.status, details(answer)]).toEqual([422, [expect.stringMatching(sentence)]]);
  };
  const one = await make(test, { name: 'one', ...large(1, 2_000), ...boundTo('running', spaceGuid) });
  const two = await make(test, { name: 'two', ...large(2, 2_000) });
  const bind = (phase: string) =>
    test.api('POST', `${PATH}/${two.guid}/relationships/${phase}_spaces`, {
      token,
      body: { data: [{ guid: spaceGuid }] },
    });
  refused(await bind('running'));
  expect((await bind('staging')).status).toBe(200);
  const change = (guid: string, body: unknown) => test.api('PATCH', `${PATH}/${guid}`, { token, body });
  refused(await change(two.guid, { globally_enabled: { running: true } }));
  refused(await change(one.guid, large(1, 3_500)));
  expect((await change(two.guid, { ...large(2, 500), globally_enabled: { running: true } })).status).toBe(200);
});

test('who writes a group is told what stays shut, and where nothing is enforced', async () => {
  await using test = await startTestApi();
  const told = async (name: string, destination: string): Promise<string | null> => {
    const rules = [{ protocol: 'all', destination }];
    const made = await test.api('POST', PATH, { token: test.admin, body: { name, rules } });
    return made.headers.get('x-cf-warnings');
  };
  expect(await told('a', '10.0.0.0/8')).toBeNull();
  expect(await told('b', '10.0.0.1,169.254.169.254')).toContain('do+not+reach+169.254.169.254+whatever');
  const { rung } = aRegistration();
  const open = { ...rung, enforced: { ...rung.enforced, egress: false } };
  await aCell(test.deps.store, { rung_json: JSON.stringify(open) });
  expect(await told('c', '10.0.0.0/8')).toContain('no+effect+on+this+machine');
});
