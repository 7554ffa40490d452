import { packageAnswer } from '@cupola/contract/v3/package';
import { aPackage, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { anAppWithWeb, newPackage, offered, pushed } from './fixtures.ts';

const relationships = (guid: string) => ({ app: { data: { guid } } });
const detailOf = (answer: { status: number; body: { errors: Array<{ detail: string }> } }) => [
  answer.status,
  answer.body.errors[0]?.detail,
];

describe('POST /v3/packages', () => {
  test('makes a package that waits for its bits, with an audit event', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const { status, body } = await test.api('POST', '/v3/packages', {
      token: test.admin,
      body: { type: 'bits', relationships: relationships(app.guid), metadata: { labels: { a: 'b' } } },
    });
    expect(status).toBe(201);
    expect(packageAnswer.parse(body)).toEqual(body);
    expect(body).toMatchObject({
      type: 'bits',
      state: 'AWAITING_UPLOAD',
      data: { error: null, checksum: { type: 'sha256', value: null } },
      relationships: relationships(app.guid),
      metadata: { labels: { a: 'b' } },
      links: { upload: { href: `${test.url}/v3/packages/${body.guid}/upload`, method: 'POST' } },
    });
    const events = await test.api('GET', `/v3/audit_events?target_guids=${app.guid}`, { token: test.admin });
    expect(events.body.resources.map((event: { type: string }) => event.type)).toEqual(['audit.app.package.create']);
  });

  test('refuses what is not of the app’s kind, not there, or not the asker’s', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const post = (body: unknown, token = test.admin) => test.api('POST', '/v3/packages', { token, body });
    const docker = { type: 'docker', data: { image: 'nginx' }, relationships: relationships(app.guid) };
    expect(detailOf(await post(docker))).toEqual([422, 'Cannot create Docker package for a buildpack app.']);
    expect(detailOf(await post({ type: 'bits', relationships: relationships('nowhere') }))).toEqual([
      422,
      'App is invalid. Ensure it exists and you have access to it.',
    ]);
    expect(detailOf(await post({ relationships: relationships(app.guid) }))).toEqual([
      422,
      "Type must be one of 'bits, docker'",
    ]);
    const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
    expect((await post({ type: 'bits', relationships: relationships(app.guid) }, auditor.token)).status).toBe(403);
    const stranger = await test.userWith({ space_developer: (await aSpace(test.deps.store)).guid });
    expect((await post({ type: 'bits', relationships: relationships(app.guid) }, stranger.token)).status).toBe(422);
  });

  test('?source_guid= copies a READY package to another app, without its bytes', async () => {
    await using test = await startTestApi();
    const [from, to] = [await anAppWithWeb(test), await anAppWithWeb(test)];
    const source = await pushed(test, from.guid, { bits: [{ name: 'a', content: 'A' }] });
    const copy = await test.api('POST', `/v3/packages?source_guid=${source.body.guid}`, {
      token: test.admin,
      body: { relationships: relationships(to.guid) },
    });
    expect(copy.status).toBe(201);
    expect(copy.body).toMatchObject({
      state: 'READY',
      data: { checksum: source.body.data.checksum },
      relationships: relationships(to.guid),
    });
    const waiting = await newPackage(test, from.guid);
    const early = await test.api('POST', `/v3/packages?source_guid=${waiting}`, {
      token: test.admin,
      body: { relationships: relationships(to.guid) },
    });
    expect(detailOf(early)).toEqual([422, 'Unable to create package: the source is not READY.']);
  });

  test('?source_guid= is no way to bits of others', async () => {
    await using test = await startTestApi();
    const source = await pushed(test, (await anAppWithWeb(test)).guid, { bits: [{ name: '.env', content: 'secret' }] });
    const space = await aSpace(test.deps.store);
    const to = await anAppWithWeb(test, { space_guid: space.guid });
    const copy = (token: string) =>
      test.api('POST', `/v3/packages?source_guid=${source.body.guid}`, {
        token,
        body: { relationships: relationships(to.guid) },
      });
    const stranger = await test.userWith({ space_developer: space.guid });
    const reader = await test.userWith({ space_developer: space.guid, space_auditor: test.home.spaceGuid });
    expect((await copy(stranger.token)).status).toBe(422);
    expect((await copy(reader.token)).status).toBe(403);
  });
});

describe('GET /v3/packages', () => {
  const guids = async (test: TestApi, query: string, token = test.admin) =>
    (await test.api('GET', `/v3/packages${query}`, { token })).body.resources.map(({ guid }: { guid: string }) => guid);

  test('filters by state, type, app, space and guid, and orders by time', async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const [one, two] = [await anAppWithWeb(test), await anAppWithWeb(test)];
    const old = await aPackage(store, { app_guid: one.guid, state: 'READY', created_at: 1_000 });
    const failed = await aPackage(store, { app_guid: one.guid, state: 'FAILED', created_at: 2_000 });
    const other = await aPackage(store, { app_guid: two.guid, state: 'READY', created_at: 3_000 });
    expect(await guids(test, '')).toEqual([old.guid, failed.guid, other.guid]);
    expect(await guids(test, '?order_by=-created_at')).toEqual([other.guid, failed.guid, old.guid]);
    expect(await guids(test, '?states=READY')).toEqual([old.guid, other.guid]);
    expect(await guids(test, `?app_guids=${one.guid}&order_by=-created_at&states=READY`)).toEqual([old.guid]);
    expect(await guids(test, `?guids=${failed.guid},${other.guid}`)).toEqual([failed.guid, other.guid]);
    expect(await guids(test, `?space_guids=${test.home.spaceGuid}&types=docker`)).toEqual([]);
    expect(await guids(test, `?organization_guids=${test.home.organizationGuid}`)).toHaveLength(3);
    const ofApp = await test.api('GET', `/v3/apps/${one.guid}/packages?states=FAILED`, { token: test.admin });
    expect(ofApp.body.resources).toMatchObject([{ guid: failed.guid }]);
    expect(ofApp.body.pagination.total_results).toBe(1);
  });

  test('shows what one may see', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const row = await aPackage(test.deps.store, { app_guid: app.guid });
    const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
    const stranger = await test.userWith({ space_developer: (await aSpace(test.deps.store)).guid });
    expect(await guids(test, '', auditor.token)).toEqual([row.guid]);
    expect(await guids(test, '', stranger.token)).toEqual([]);
    expect((await test.api('GET', `/v3/packages/${row.guid}`, { token: stranger.token })).status).toBe(404);
    expect((await test.api('GET', `/v3/apps/${app.guid}/packages`, { token: stranger.token })).status).toBe(404);
  });

  test('refuses a filter that it does not know', async () => {
    await using test = await startTestApi();
    const { status, body } = await test.api('GET', '/v3/packages?name=x', { token: test.admin });
    expect([status, body.errors[0].title]).toEqual([400, 'CF-BadQueryParameter']);
  });
});

test('GET /v3/packages/:guid/download gives the zip, to developers alone', async () => {
  await using test = await startTestApi();
  const app = await anAppWithWeb(test);
  const { body } = await pushed(test, app.guid, { bits: [{ name: 'a', content: 'A' }] });
  const path = `/v3/packages/${body.guid}/download`;
  const answer = await fetch(new URL(path, test.url), { headers: { authorization: `bearer ${test.admin}` } });
  expect(answer.headers.get('content-type')).toBe('application/zip');
  expect(
    Buffer.from(await answer.arrayBuffer())
      .subarray(0, 2)
      .toString(),
  ).toBe('PK');
  const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
  expect((await test.api('GET', path, { token: auditor.token })).status).toBe(403);
  const waiting = await newPackage(test, app.guid);
  expect((await test.api('GET', `/v3/packages/${waiting}/download`, { token: test.admin })).status).toBe(422);
});

test('PATCH /v3/packages/:guid sets labels', async () => {
  await using test = await startTestApi();
  const row = await aPackage(test.deps.store, { app_guid: (await anAppWithWeb(test)).guid });
  const { status, body } = await test.api('PATCH', `/v3/packages/${row.guid}`, {
    token: test.admin,
    body: { metadata: { labels: { env: 'test' }, annotations: { note: 'x' } } },
  });
  expect([status, body.metadata]).toEqual([200, { labels: { env: 'test' }, annotations: { note: 'x' } }]);
  const { resources } = (await test.api('GET', '/v3/packages?label_selector=env%3Dtest', { token: test.admin })).body;
  expect(resources).toMatchObject([{ guid: row.guid }]);
});

test('DELETE /v3/packages/:guid answers with a job that is done; its files can still be matched', async () => {
  await using test = await startTestApi();
  const app = await anAppWithWeb(test);
  const { body } = await pushed(test, app.guid, { bits: [{ name: 'a', content: 'A' }] });
  const answer = await test.api('DELETE', `/v3/packages/${body.guid}`, { token: test.admin });
  expect(answer.status).toBe(202);
  const job = await test.api('GET', answer.headers.get('location') ?? '', { token: test.admin });
  expect(job.body).toMatchObject({ operation: 'package.delete', state: 'COMPLETE' });
  expect((await test.api('GET', `/v3/packages/${body.guid}`, { token: test.admin })).status).toBe(404);
  const again = await pushed(test, app.guid, { resources: [offered('a', 'A')] });
  expect(again.body.state).toBe('READY');
});
