import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { RETENTION } from '@cupola/model/limits';
import {
  aBuild,
  aDeployment,
  aDroplet,
  anApp,
  aPackage,
  aPlacement,
  aProcess,
  aRevision,
  aRunSpec,
  aTask,
  testSealer,
} from '@cupola/store/fixtures';
import { expect, test, vi } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { sweepOnce } from './sweeper.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const layer = (digest: string) => ({ digest, sizeBytes: 1, kind: 'app', mountPath: '/home/vcap' });

/** Sweeps as if it were that much later than now: blobs and uploads have the times of this machine. */
const sweep = ({ deps }: TestApi, laterMs = 0) => sweepOnce({ ...deps, now: () => Date.now() + laterMs });
const put = async ({ deps }: TestApi, text: string) => (await deps.blobs.put(Readable.from([text]))).digest;
const digests = async ({ deps }: TestApi) =>
  (await Array.fromAsync(deps.blobs.list())).map(({ digest }) => digest).sort();

async function statesOf({ deps }: TestApi, table: 'packages' | 'droplets', guids: readonly string[]) {
  const rows = await deps.store.read.selectFrom(table).select(['guid', 'state']).execute();
  const states = new Map(rows.map(({ guid, state }) => [guid, state]));
  return guids.map(guid => states.get(guid));
}

test('the newest READY packages of an app stay, and that of its current droplet; the others are EXPIRED', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const app = await anApp(store);
  const guids = await Promise.all(
    Array.from({ length: RETENTION.packages + 3 }, async (_, n) => {
      const { guid } = await aPackage(store, { app_guid: app.guid, state: 'READY', digest: 'd', created_at: n });
      return guid;
    }),
  );
  const { guid } = await aDroplet(store, { app_guid: app.guid, package_guid: guids[0] ?? '' });
  await store.mutate(({ db }) => db.updateTable('apps').set({ current_droplet_guid: guid }).execute());
  await aBuild(store, { app_guid: app.guid, package_guid: guids[1] ?? '' });
  await sweep(test);
  expect(await statesOf(test, 'packages', guids)).toEqual(['READY', 'READY', 'EXPIRED', ...Array(5).fill('READY')]);
  await sweep(test);
  expect(await statesOf(test, 'packages', guids)).toEqual(['READY', 'READY', 'EXPIRED', ...Array(5).fill('READY')]);
});

test('the newest STAGED droplets of an app stay, and those that are current or run; the others are EXPIRED', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const app = await anApp(store);
  const guids = await Promise.all(
    Array.from({ length: RETENTION.droplets + 3 }, async (_, n) => {
      const { guid } = await aDroplet(store, { app_guid: app.guid, created_at: n });
      return guid;
    }),
  );
  await store.mutate(({ db }) =>
    db
      .updateTable('apps')
      .set({ current_droplet_guid: guids[0] ?? '' })
      .execute(),
  );
  const spec = await aRunSpec(store, { app_guid: app.guid, droplet_guid: guids[1] ?? '' });
  await aPlacement(store, { app_guid: app.guid, process_guid: spec.process_guid, run_spec_guid: spec.guid });
  await sweep(test);
  expect(await statesOf(test, 'droplets', guids)).toEqual(['STAGED', 'STAGED', 'EXPIRED', ...Array(5).fill('STAGED')]);
});

test("one app's packages do not count against another's", async () => {
  await using test = await startTestApi();
  const packages = await Promise.all(
    Array.from({ length: RETENTION.packages + 1 }, () => aPackage(test.deps.store, { state: 'READY' })),
  );
  await sweep(test);
  const states = await statesOf(
    test,
    'packages',
    packages.map(({ guid }) => guid),
  );
  expect(new Set(states)).toEqual(new Set(['READY']));
});

test('ended builds beyond the newest hundred of an app go, with their labels', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const { guid: app_guid } = await anApp(store);
  const pack = await aPackage(store, { app_guid });
  const old = await aBuild(store, { app_guid, package_guid: pack.guid, state: 'FAILED', created_at: 1 });
  const waiting = await aBuild(store, { app_guid, package_guid: pack.guid, created_at: 0 });
  await store.note(({ db }) =>
    db.insertInto('labels').values({ kind: 'build', resource_guid: old.guid, key: 'a', value: 'b' }).execute(),
  );
  await Promise.all(
    Array.from({ length: RETENTION.builds }, () =>
      aBuild(store, { app_guid, package_guid: pack.guid, state: 'STAGED' }),
    ),
  );
  await sweep(test);
  const left = (await store.read.selectFrom('builds').select('guid').execute()).map(({ guid }) => guid);
  expect(left).toHaveLength(RETENTION.builds + 1);
  expect(left).toContain(waiting.guid);
  expect(await store.read.selectFrom('labels').selectAll().execute()).toEqual([]);
});

test('a build that nobody asked for for a day goes with its droplet', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const old = await aBuild(store, { adopted: 0, state: 'STAGED', created_at: test.clock.now() - DAY_MS - 1 });
  await aDroplet(store, { build_guid: old.guid });
  const young = await aBuild(store, { adopted: 0, state: 'STAGED', created_at: test.clock.now() });
  await sweep(test);
  expect(await store.read.selectFrom('builds').select('guid').execute()).toEqual([{ guid: young.guid }]);
  expect(await store.read.selectFrom('droplets').selectAll().execute()).toEqual([]);
});

test('jobs, events and refresh tokens go when their time is over', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const now = test.clock.now();
  const old = now - 31 * DAY_MS - 1;
  const row = (guid: string, created_at: number) => ({ guid, created_at, updated_at: created_at });
  const job = {
    operation: 'x',
    state: 'COMPLETE' as const,
    errors_json: '[]',
    warnings_json: '[]',
    resource_guid: null,
    user_guid: null,
  };
  const event = {
    type: 'x',
    actor_guid: '',
    actor_type: '',
    actor_name: '',
    target_guid: '',
    target_type: '',
    target_name: '',
    space_guid: null,
    organization_guid: null,
    data_json: '{}',
  };
  const token = { family: 'f', user_guid: 'u', client_id: 'cf', used_at: null, revoked: 0 as const, created_at: old };
  await store.note(async ({ db }) => {
    await db
      .insertInto('jobs')
      .values([
        { ...job, ...row('old', old) },
        { ...job, ...row('new', now) },
      ])
      .execute();
    await db
      .insertInto('audit_events')
      .values([
        { ...event, guid: 'old', created_at: old },
        { ...event, guid: 'new', created_at: now },
      ])
      .execute();
    await db
      .insertInto('refresh_tokens')
      .values([
        { ...token, token_hash: 'over', expires_at: now - 1 },
        { ...token, token_hash: 'valid', expires_at: now + 1 },
      ])
      .execute();
  });
  await sweep(test);
  expect(await store.read.selectFrom('jobs').select('guid').execute()).toEqual([{ guid: 'new' }]);
  expect(await store.read.selectFrom('audit_events').select('guid').execute()).toEqual([{ guid: 'new' }]);
  const tokens = await store.read.selectFrom('refresh_tokens').select('token_hash').where('family', '=', 'f').execute();
  expect(tokens).toEqual([{ token_hash: 'valid' }]);
});

test('blobs that no row names go, once they are old enough', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const [pack, droplet, toolchain, running, resource] = await Promise.all(
    ['pack', 'droplet', 'toolchain', 'running', 'resource'].map(text => put(test, text)),
  );
  await put(test, 'orphan');
  await put(test, 'of an expired droplet');
  await aPackage(store, { state: 'READY', digest: pack ?? '' });
  await aDroplet(store, { layers_json: JSON.stringify([layer(droplet ?? '')]) });
  await aDroplet(store, {
    state: 'EXPIRED',
    layers_json: JSON.stringify([layer(await put(test, 'of an expired droplet'))]),
  });
  const spec = await aRunSpec(store, {
    spec_sealed: testSealer.seal(JSON.stringify({ layers: [layer(running ?? '')] })),
  });
  await aProcess(store, { run_spec_guid: spec.guid });
  await store.note(async ({ db, now }) => {
    await db
      .insertInto('toolchains')
      .values({ key: 'k', version: '1', layer_json: JSON.stringify(layer(toolchain ?? '')), created_at: now })
      .execute();
    await db
      .insertInto('resources')
      .values(aResource(resource ?? '', now))
      .execute();
  });
  const before = await digests(test);
  await sweep(test);
  expect(await digests(test)).toEqual(before);
  await sweep(test, HOUR_MS + 60_000);
  expect(await digests(test)).toEqual([pack, droplet, toolchain, running, resource].sort());
});

test('nothing goes while one of those that may need it cannot be read', async () => {
  await using test = await startTestApi();
  await put(test, 'orphan');
  const spec = await aRunSpec(test.deps.store, { spec_sealed: 'lost-key.AAAA' });
  await aProcess(test.deps.store, { run_spec_guid: spec.guid });
  await sweep(test, HOUR_MS + 60_000);
  expect(await digests(test)).toHaveLength(1);
});

test('files of packs that are gone are forgotten a day after they were matched last', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  await aPackage(store, { state: 'READY', digest: 'kept' });
  const old = test.clock.now() - DAY_MS - 1;
  await store.note(async ({ db }) => {
    await db
      .insertInto('resources')
      .values([aResource('kept', old, '1'), aResource('gone', old, '2'), aResource('young', test.clock.now(), '3')])
      .execute();
  });
  await sweep(test);
  const left = await store.read.selectFrom('resources').select('blob_digest').orderBy('sha1').execute();
  expect(left.map(({ blob_digest }) => blob_digest)).toEqual(['kept', 'young']);
});

test('uploads that ended with their process are removed, those under way are not', async () => {
  await using test = await startTestApi();
  const { uploadFolder } = test.deps.config;
  await mkdir(uploadFolder, { recursive: true });
  await writeFile(`${uploadFolder}/under-way`, 'x');
  await writeFile(`${uploadFolder}/left`, 'x');
  const old = new Date(Date.now() - HOUR_MS - 60_000);
  await utimes(`${uploadFolder}/left`, old, old);
  await sweep(test);
  expect(await readdir(uploadFolder)).toEqual(['under-way']);
});

test('a task that fails keeps nothing from the others', async () => {
  await using test = await startTestApi();
  const error = vi.fn();
  const log = { ...test.deps.log, error, info: vi.fn() } as unknown as TestApi['deps']['log'];
  const blobs = {
    ...test.deps.blobs,
    list: () => {
      throw new Error('no disk');
    },
  };
  const { uploadFolder } = test.deps.config;
  await mkdir(uploadFolder, { recursive: true });
  await writeFile(`${uploadFolder}/left`, 'x');
  await sweepOnce({ ...test.deps, blobs, log, now: () => Date.now() + HOUR_MS + 60_000 });
  expect(error).toHaveBeenCalledOnce();
  expect(await readdir(uploadFolder)).toEqual([]);
});

function aResource(blob_digest: string, seen_at: number, sha1 = '0') {
  return {
    organization_guid: 'o',
    sha1,
    size_bytes: 1,
    sha256: 's',
    blob_digest,
    data_offset: 0,
    compressed_bytes: 1,
    method: 0,
    crc32: 0,
    seen_at,
  };
}

test('deployments, revisions and tasks that are over go in time; what runs, and the newest of each, stays', async () => {
  await using test = await startTestApi();
  const { store } = test.deps;
  const app = await anApp(store);
  const inApp = { app_guid: app.guid };
  await aProcess(store, inApp);
  const runs = await aRevision(store, { ...inApp, created_at: 0 });
  await store.mutate(({ db }) => db.updateTable('processes').set({ revision_guid: runs.guid }).execute());
  const final = { status_value: 'FINALIZED', state: 'DEPLOYED' } as const;
  const active = await aDeployment(store, { ...inApp, created_at: 0 });
  for (let n = 1; n <= RETENTION.deployments + 2; n++) {
    await aDeployment(store, { ...inApp, ...final, created_at: n });
    await aRevision(store, { ...inApp, droplet_guid: 'd', created_at: n, version: n + 1 });
  }
  const old = { ...inApp, ended_at: 1, state: 'SUCCEEDED' } as const;
  const task = await aTask(store, old);
  const newest = await aTask(store, { ...old, sequence_id: 2 });
  await sweep(test, RETENTION.tasksMs);
  const guids = async (table: 'deployments' | 'revisions' | 'tasks' | 'run_specs') =>
    (await store.read.selectFrom(table).select('guid').execute()).map(({ guid }) => guid);
  expect(await guids('deployments')).toHaveLength(RETENTION.deployments + 1);
  expect(await guids('deployments')).toContain(active.guid);
  expect(await guids('revisions')).toHaveLength(RETENTION.revisions + 1);
  expect(await guids('revisions')).toContain(runs.guid);
  expect(await guids('tasks')).toEqual([newest.guid]);
  expect(await guids('run_specs')).not.toContain(task.run_spec_guid);
});
