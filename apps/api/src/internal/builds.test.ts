import { Readable } from 'node:stream';
import { DEFAULT_EGRESS } from '@cupola/model/egress';
import { STAGING_LIMITS } from '@cupola/model/limits';
import { SYSTEM_BUILDPACKS } from '@cupola/model/system-buildpacks';
import { aBuild, aCell, anApp, aPackage, testSealer } from '@cupola/store/fixtures';
import type { BuildsTable } from '@cupola/store/schema';
import { expect, test, vi } from 'vitest';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';
import { aResult, callInternal, openWatch } from './fixtures.ts';

const DIGEST = 'a'.repeat(64);

/** A build of a READY package, and what a stager does with it. */
async function aStager(test: TestApi, given: Partial<BuildsTable> = {}, name = 'shop') {
  const { store } = test.deps;
  const app = await anApp(store, { name, space_guid: test.home.spaceGuid });
  const pack = await aPackage(store, { app_guid: app.guid, state: 'READY', digest: DIGEST, size_bytes: 7 });
  const build = await aBuild(store, {
    app_guid: app.guid,
    package_guid: pack.guid,
    created_at: test.clock.now(),
    ...given,
  });
  const call = (method: string, path: string, body?: unknown) =>
    callInternal(test.socketPath, method, `/internal/builds/${build.guid}/${path}`, body);
  return {
    app,
    pack,
    build,
    claim: (stager = 's1') => call('POST', 'claim', { stager }),
    heartbeat: (fence: number) => call('POST', 'heartbeat', { fence }),
    finish: (end: Record<string, unknown>) => call('POST', 'finish', end),
    package: (fence: number) => call('GET', `package?fence=${fence}`),
    row: () => store.read.selectFrom('builds').selectAll().where('guid', '=', build.guid).executeTakeFirstOrThrow(),
    droplets: () => store.read.selectFrom('droplets').selectAll().where('build_guid', '=', build.guid).execute(),
    events: () => store.read.selectFrom('audit_events').select(['type', 'data_json']).execute(),
  };
}

const next = (test: TestApi, waitMs: number, signal?: AbortSignal) =>
  callInternal(test.socketPath, 'GET', `/internal/builds/next?stager=s1&wait_ms=${waitMs}`, undefined, signal);

test('next is 204 when no hint comes in time', async () => {
  await using test = await startTestApi();
  expect(await next(test, 1)).toEqual({ status: 204, body: undefined });
});

test('next is held until a hint is offered', async () => {
  await using test = await startTestApi();
  const held = next(test, 20_000);
  await test.deps.queue.offer({ buildGuid: 'b1', priority: 1 });
  expect(await held).toEqual({ status: 200, body: { buildGuid: 'b1' } });
});

test('a build is left to a machine that has its stack, and holds up no other; where none has it, or none takes it, anybody gets it', async () => {
  await using test = await startTestApi();
  const { queue, store } = test.deps;
  const { build } = await aStager(test, { stack: 'noble' });
  const ask = (stager: string, waitMs: number, ...stacks: string[]) =>
    callInternal(
      test.socketPath,
      'GET',
      `/internal/builds/next?stager=${stager}&wait_ms=${waitMs}${stacks.map(name => `&stack=${name}`).join('')}`,
    );
  const hint = { status: 200, body: { buildGuid: build.guid } };
  await queue.offer({ buildGuid: build.guid, priority: 1 });
  expect(await ask('none-has-it', 1, 'host')).toEqual(hint);
  await queue.done(build.guid);
  await aCell(store, { stacks_json: '[{"name":"noble","digest":"","abiKey":""}]' });
  await queue.offer({ buildGuid: build.guid, priority: 1 });
  expect(await ask('lacks-it', 1, 'host')).toEqual({ status: 204, body: undefined });
  const { app_guid, package_guid } = build;
  const behind = await aBuild(store, { app_guid, package_guid, stack: 'host' });
  await queue.offer({ buildGuid: behind.guid, priority: 2 });
  expect((await ask('lacks-it', 20_000, 'host')).body).toEqual({ buildGuid: behind.guid });
  await queue.done(behind.guid);
  expect(await ask('has-it', 20_000, 'host', 'noble')).toEqual(hint);
  await queue.done(build.guid);
  await queue.offer({ buildGuid: build.guid, priority: 1 });
  test.clock.pass(601_000);
  expect(await ask('lacks-it', 1, 'host')).toEqual(hint);
});

test('a stager that has gone waits no longer, and takes no hint with it', async () => {
  await using test = await startTestApi();
  const { queue } = test.deps;
  const { onOffer } = queue;
  const [began, ended] = [vi.fn(), vi.fn()];
  queue.onOffer = listener => {
    began();
    const stop = onOffer(listener);
    return () => {
      ended();
      stop();
    };
  };
  const gone = new AbortController();
  const held = next(test, 20_000, gone.signal);
  await vi.waitFor(() => expect(began).toHaveBeenCalled(), 30_000);
  gone.abort();
  await expect(held).rejects.toThrow();
  await vi.waitFor(() => expect(ended.mock.calls.length).toBe(began.mock.calls.length), 30_000);
  await queue.offer({ buildGuid: 'b1', priority: 1 });
  expect((await next(test, 1)).body).toEqual({ buildGuid: 'b1' });
});

test('next without a stager is refused', async () => {
  await using test = await startTestApi();
  expect((await callInternal(test.socketPath, 'GET', '/internal/builds/next?wait_ms=1')).status).toBe(400);
});

test('a claim gives all that a stager needs', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test, {
    buildpacks_json: '["nodejs_buildpack"]',
    environment_sealed: testSealer.seal('{"A":"1"}'),
  });
  const { status, body } = await stager.claim();
  expect(status).toBe(200);
  expect(body).toEqual({
    buildGuid: stager.build.guid,
    cacheGeneration: 0,
    fence: 1,
    attempt: 1,
    leaseMs: STAGING_LIMITS.leaseMs,
    appGuid: stager.app.guid,
    appName: 'shop',
    spaceName: 'dev',
    organizationName: 'cupola',
    packageGuid: stager.pack.guid,
    packageDigest: DIGEST,
    packageSizeBytes: 7,
    buildpacks: ['nodejs_buildpack'],
    detectOrder: [...SYSTEM_BUILDPACKS],
    customBuildpacks: [],
    stack: 'host',
    environment: { A: '1' },
    egress: DEFAULT_EGRESS,
    memoryMb: 1_024,
    diskMb: 6_144,
    timeoutMs: STAGING_LIMITS.timeoutMs,
  });
});

test('a build is claimed once while its lease stands', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  const answers = await Promise.all(['s1', 's2', 's3'].map(name => stager.claim(name)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
  expect(await stager.row()).toMatchObject({ fence: 1, attempts: 1 });
});

test('a lost stager: its build is claimed anew under a higher fence, and the old fence is refused everywhere', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  await stager.claim('s1');
  test.clock.pass(STAGING_LIMITS.leaseMs);
  expect((await stager.claim('s2')).body).toMatchObject({ fence: 2, attempt: 2 });
  const refused = [
    await stager.heartbeat(1),
    await stager.package(1),
    await stager.finish({ outcome: 'staged', fence: 1, result: aResult() }),
    await stager.finish({ outcome: 'failed', fence: 1, title: 'StagingError', error: 'x' }),
    await stager.finish({ outcome: 'lost', fence: 1, error: 'x' }),
    await callInternal(
      test.socketPath,
      'PUT',
      `/internal/layers/${DIGEST}?build=${stager.build.guid}&fence=1`,
      Buffer.from('x'),
    ),
  ];
  expect(refused.map(({ status }) => status)).toEqual([409, 409, 409, 409, 409, 409]);
  expect(await stager.row()).toMatchObject({ state: 'STAGING', fence: 2, stager: 's2' });
  expect((await stager.finish({ outcome: 'staged', fence: 2, result: aResult() })).status).toBe(204);
});

test('heartbeats keep the lease', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  await stager.claim('s1');
  test.clock.pass(STAGING_LIMITS.leaseMs - 1);
  expect((await stager.heartbeat(1)).body).toEqual({ leaseMs: STAGING_LIMITS.leaseMs, cancel: false });
  test.clock.pass(STAGING_LIMITS.leaseMs - 1);
  expect((await stager.claim('s2')).status).toBe(409);
});

test('a build whose attempts are used up is not to be had', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test, { attempts: STAGING_LIMITS.attemptsMax });
  expect((await stager.claim()).status).toBe(409);
});

test('a build whose package is not READY ends with a reason', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test, { package_guid: 'deleted' });
  expect((await stager.claim()).status).toBe(409);
  expect(await stager.row()).toMatchObject({ state: 'FAILED', error: expect.stringContaining('Push again') });
});

test('a claim consumes its hint', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  await test.deps.queue.offer({ buildGuid: stager.build.guid, priority: 1 });
  await stager.claim();
  expect(await test.deps.queue.next('s2', 1)).toBeNull();
});

test('the package is streamed to who holds the build', async () => {
  await using test = await startTestApi();
  const digest = await stored(test, 'a zip');
  const stager = await aStager(test);
  await test.deps.store.mutate(({ db }) =>
    db.updateTable('packages').set({ digest }).where('guid', '=', stager.pack.guid).execute(),
  );
  await stager.claim();
  expect(await stager.package(1)).toEqual({ status: 200, body: Buffer.from('a zip') });
});

test('a package whose bytes are gone is FAILED, and so is its build', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  await stager.claim();
  expect((await stager.package(1)).status).toBe(404);
  const packages = test.deps.store.read.selectFrom('packages').select(['state', 'error']);
  expect(await packages.execute()).toMatchObject([{ state: 'FAILED', error: expect.stringContaining('missing') }]);
  expect(await stager.row()).toMatchObject({ state: 'FAILED', error_title: 'StagingError' });
});

test('finish staged makes one droplet, however often it is said', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  await stager.claim();
  const digest = await stored(test, 'a layer');
  const layers = [{ digest, sizeBytes: 7, kind: 'app', mountPath: '/home/vcap' }];
  const end = { outcome: 'staged', fence: 1, result: { ...aResult(), layers } };
  expect((await stager.finish(end)).status).toBe(204);
  expect((await stager.finish(end)).status).toBe(204);
  const droplets = await stager.droplets();
  expect(droplets).toMatchObject([
    { state: 'STAGED', app_guid: stager.app.guid, package_guid: stager.pack.guid, layers_json: JSON.stringify(layers) },
  ]);
  expect(await stager.row()).toMatchObject({
    state: 'STAGED',
    droplet_guid: droplets[0]?.guid,
    stager: null,
    finished_at: test.clock.now(),
  });
  expect((await stager.events()).map(({ type }) => type)).toEqual(['audit.app.build.staged']);
});

test('finish staged with a layer that was never stored is refused', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  await stager.claim();
  const layers = [{ digest: DIGEST, sizeBytes: 7, kind: 'app' as const, mountPath: '/home/vcap' }];
  const answer = await stager.finish({ outcome: 'staged', fence: 1, result: aResult({ layers }) });
  expect(answer.status).toBe(422);
  expect(await stager.row()).toMatchObject({ state: 'STAGING' });
});

test('finish failed ends the build with its title and text', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  await stager.claim();
  await stager.finish({ outcome: 'failed', fence: 1, title: 'NoAppDetectedError', error: 'nothing here' });
  expect(await stager.row()).toMatchObject({
    state: 'FAILED',
    error_title: 'NoAppDetectedError',
    error: 'nothing here',
  });
  expect(await stager.events()).toMatchObject([{ type: 'audit.app.build.failed' }]);
  expect((await stager.claim()).status).toBe(409);
});

test('finish lost gives the build back at once', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test);
  await stager.claim('s1');
  await stager.finish({ outcome: 'lost', fence: 1, error: 'the stager was stopped' });
  expect(await stager.row()).toMatchObject({ state: 'STAGING', stager: null, error: 'the stager was stopped' });
  expect((await stager.claim('s2')).body).toMatchObject({ fence: 2, attempt: 2 });
});

test('a build that nobody has asked for yet ends without an event', async () => {
  await using test = await startTestApi();
  const stager = await aStager(test, { adopted: 0 });
  await stager.claim();
  await stager.finish({ outcome: 'staged', fence: 1, result: aResult() });
  expect(await stager.row()).toMatchObject({ state: 'STAGED' });
  expect(await stager.events()).toEqual([]);
});

test('a cancelled build: its stager is told by the watch and by heartbeats, and what it brings is not taken', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const stager = await aStager(test);
  await stager.claim();
  using watch = await openWatch(test.socketPath, '/internal/builds/watch');
  expect([...watch.items.values()]).toEqual([{ guid: stager.build.guid, fence: 1, cancel: false }]);
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('builds').set({ cancelled: 1 }).where('guid', '=', stager.build.guid).execute();
    changed('build', stager.build.guid);
  });
  expect(await watch.next()).toMatchObject({ type: 'upsert', item: { fence: 1, cancel: true } });
  expect((await stager.heartbeat(1)).body).toMatchObject({ cancel: true });
  await stager.finish({ outcome: 'staged', fence: 1, result: aResult() });
  expect(await stager.droplets()).toEqual([]);
  expect((await stager.claim('s2')).status).toBe(409);
});

/** Digest of the stored text. */
async function stored(test: TestApi, text: string): Promise<string> {
  return (await test.deps.blobs.put(Readable.from([text]))).digest;
}

test('a build that was asked for is billed, and its buildpack with it; one that nobody asked for is not', async () => {
  await using test = await startTestApi();
  const end = async (adopted: 0 | 1) => {
    const stager = await aStager(test, { adopted }, `app-${adopted}`);
    const { body } = await stager.claim();
    await stager.finish({ outcome: 'staged', fence: body.fence, result: aResult() });
    return stager;
  };
  await end(0);
  const { app } = await end(1);
  const { body } = await test.api('GET', '/v3/app_usage_events', { token: test.admin });
  expect(body.resources.map((event: Json) => [event.state.current, event.app.guid])).toEqual([
    ['STAGING_STOPPED', app.guid],
    ['BUILDPACK_SET', app.guid],
  ]);
  expect(body.resources[1].buildpack).toEqual({ guid: expect.any(String), name: 'nodejs_buildpack' });
});
