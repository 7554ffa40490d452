import { streamFrame } from '@cupola/contract/v3/stream';
import { anApp, aProcess, aRole, aSpace, aTask } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';
import { readNewestFigures } from './figures.ts';
import { type ChangedFrame, isChanged, openSocketStream, openStream } from './fixtures.ts';

test('GET /v3/stream tells what changes as lists show it, and that it is gone', async () => {
  await using api = await startTestApi();
  await using stream = await openStream(api, { token: api.admin });
  const body = { name: 'dora', relationships: { space: { data: { guid: api.home.spaceGuid } } } };
  const { guid } = (await api.api('POST', '/v3/apps', { token: api.admin, body })).body;
  const frame = (await stream.until(isChanged('app', guid))) as ChangedFrame;
  const listed = (await api.api('GET', `/v3/apps?guids=${guid}`, { token: api.admin })).body.resources[0];
  expect(frame.object).toEqual(listed);
  expect(frame).toMatchObject({
    space_guid: api.home.spaceGuid,
    organization_guid: api.home.organizationGuid,
    app_guid: guid,
  });
  const process = (await stream.until(isChanged('process', guid))) as ChangedFrame;
  const processes = (await api.api('GET', `/v3/processes?guids=${guid}`, { token: api.admin })).body.resources;
  expect(process.object).toEqual(processes[0]);
  const event = (await stream.until(isChanged('audit_event'))) as ChangedFrame;
  expect(event).toMatchObject({ app_guid: guid, object: { type: 'audit.app.create', target: { name: 'dora' } } });
  await api.api('DELETE', `/v3/apps/${guid}`, { token: api.admin });
  await stream.until(one => one.type === 'gone' && one.kind === 'app' && one.guid === guid);
  await stream.until(one => one.type === 'gone' && one.kind === 'process');
});

test('GET /v3/stream resumes after the last event that was read', async () => {
  await using api = await startTestApi();
  const first = await openStream(api, { token: api.admin });
  const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid, name: 'one' });
  await first.until(isChanged('app', app.guid));
  await first[Symbol.asyncDispose]();
  const missed = await anApp(api.deps.store, { space_guid: api.home.spaceGuid, name: 'two' });
  await using second = await openStream(api, { token: api.admin, lastEventId: first.lastId });
  expect(second.frames.map(frame => (frame.type === 'changed' ? frame.guid : frame.type))).toEqual([
    missed.guid,
    'ready',
  ]);
});

test('GET /v3/stream says reset to a cursor of another epoch, and one that is none', async () => {
  await using api = await startTestApi();
  const { cursor } = (await api.api('GET', '/v3/stream', { token: api.admin })).body;
  await api.deps.store.newEpoch();
  await using stream = await openStream(api, { token: api.admin, query: `?since=${cursor}` });
  expect(stream.frames.map(({ type }) => type)).toEqual(['reset', 'ready']);
  await using other = await openStream(api, { token: api.admin, query: '?since=nonsense' });
  expect(other.frames).toMatchObject([{ type: 'reset', reason: 'unknown_cursor' }, { type: 'ready' }]);
});

test('GET /v3/stream tells nothing of what one may not see, and takes a new role at once', async () => {
  await using api = await startTestApi();
  const other = await aSpace(api.deps.store, { organization_guid: api.home.organizationGuid });
  const user = await api.userWith({ space_developer: api.home.spaceGuid });
  await using stream = await openStream(api, { token: user.token });
  const hidden = await anApp(api.deps.store, { space_guid: other.guid });
  const seen = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  await stream.until(isChanged('app', seen.guid));
  expect(stream.frames.some(isChanged('app', hidden.guid))).toBe(false);
  const role = await aRole(api.deps.store, { type: 'space_developer', user_guid: user.guid, space_guid: other.guid });
  await stream.until(frame => frame.type === 'reset' && frame.reason === 'rights');
  const now = await anApp(api.deps.store, { space_guid: other.guid });
  await stream.until(isChanged('app', now.guid));
  await api.deps.store.mutate(async ({ db, changed }) => {
    await db.deleteFrom('roles').where('guid', '=', role.guid).execute();
    changed('role', role.guid);
  });
  const late = await anApp(api.deps.store, { space_guid: other.guid });
  const last = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  await stream.until(isChanged('app', last.guid));
  expect(stream.frames.some(isChanged('app', late.guid))).toBe(false);
});

test('GET /v3/stream filters by kind, space and app', async () => {
  await using api = await startTestApi();
  const space = await aSpace(api.deps.store, { organization_guid: api.home.organizationGuid });
  const app = await anApp(api.deps.store, { space_guid: space.guid });
  await using ofKind = await openStream(api, { token: api.admin, query: '?kinds=task' });
  await using ofSpace = await openStream(api, { token: api.admin, query: `?space_guids=${api.home.spaceGuid}` });
  await using ofApp = await openStream(api, { token: api.admin, query: `?app_guids=${app.guid}&kinds=task,app` });
  const mine = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  const task = await aTask(api.deps.store, { app_guid: app.guid });
  await ofKind.until(isChanged('task', task.guid));
  await ofApp.until(isChanged('task', task.guid));
  await ofSpace.until(isChanged('app', mine.guid));
  expect(ofKind.frames.map(({ type }) => type)).toEqual(['ready', 'changed']);
  expect(ofApp.frames.map(({ type }) => type)).toEqual(['ready', 'changed']);
  expect(ofSpace.frames.some(isChanged('task'))).toBe(false);
});

test('GET /v3/stream refuses a kind that is none, and who has no token', async () => {
  await using api = await startTestApi();
  const answer = await api.api('GET', '/v3/stream?kinds=apps', { token: api.admin });
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0].detail).toContain("Kinds can only be: 'organization'");
  expect((await api.api('GET', '/v3/stream')).status).toBe(401);
  await using socket = await openSocketStream(api, { token: 'nonsense' });
  expect(socket.status).toBe(401);
});

test('GET /v3/stream as a WebSocket tells the same frames', async () => {
  await using api = await startTestApi();
  await using events = await openStream(api, { token: api.admin });
  await using socket = await openSocketStream(api, { token: api.admin });
  const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  await events.until(isChanged('app', app.guid));
  await socket.until(isChanged('app', app.guid));
  expect(socket.frames).toEqual(events.frames);
});

test('GET /v3/stream tells instances of a process when its copies change', async () => {
  await using api = await startTestApi();
  const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid, state: 'STARTED' });
  await using stream = await openStream(api, { token: api.admin });
  const process = await aProcess(api.deps.store, { app_guid: app.guid, instances: 2 });
  const frame = (await stream.until(isChanged('instances', process.guid))) as ChangedFrame;
  expect(frame.object).toMatchObject({
    app_guid: app.guid,
    type: 'web',
    instances: [{ index: 0, state: 'DOWN' }, { index: 1 }],
  });
});

test('a stream ends with its token', async () => {
  await using api = await startTestApi();
  await using stream = await openStream(api, { token: api.admin });
  api.clock.pass(700_000);
  await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  await stream.ended;
  expect(stream.frames).toMatchObject([{ type: 'ready' }, { type: 'end', reason: 'token' }]);
});

test('a stream ends when its server does, and says so', async () => {
  await using api = await startTestApi();
  const stream = await openStream(api, { token: api.admin });
  const socket = await openSocketStream(api, { token: api.admin });
  await api[Symbol.asyncDispose]();
  await Promise.all([stream.ended, socket.ended]);
  expect(stream.frames.at(-1)).toMatchObject({ type: 'end', reason: 'restart' });
  expect(socket.frames.at(-1)).toMatchObject({ type: 'end', reason: 'restart' });
});

test('figures of an app that one may see come along without a cursor', async () => {
  await using api = await startTestApi();
  const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
  const at = Math.floor(api.clock.now() / 10_000) * 10_000;
  const figures = { [app.guid]: { u: [0.5, 1_000, 1] }, nobodys: { u: [1, 1, 1] } };
  await api.deps.store.note(({ db }) =>
    db
      .insertInto('metric_windows')
      .values({ at, source: 's', apps_json: JSON.stringify(figures) })
      .execute(),
  );
  api.clock.pass(12_000);
  const [frame, ...others] = await readNewestFigures(api.deps);
  expect(others).toEqual([]);
  expect(frame).toMatchObject({ cursor: null, subject: { kind: 'metrics', spaceGuid: api.home.spaceGuid } });
  expect(streamFrame.parse(JSON.parse(frame?.json ?? ''))).toMatchObject({
    app_guid: app.guid,
    cpu: 0.5,
    instances: 1,
  });
});
