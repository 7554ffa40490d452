/** The registry's protocol, as a client speaks it. Real clients pull in test/docker.test.ts. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { aDroplet, anApp, aProcess } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const LAYER = Buffer.from('the layer of an app, as long as it is');
const STACK = Buffer.from('the layer of the stack');

/** An app `shop` with two droplets, the second of which is current. The stack's layer lies there already: to make one takes seconds. */
async function aShop(test: TestApi) {
  const { store, blobs, config } = test.deps;
  mkdirSync(config.stackFolder, { recursive: true });
  writeFileSync(join(config.stackFolder, 'stack.tar'), STACK);
  writeFileSync(
    join(config.stackFolder, 'stack.json'),
    JSON.stringify({ digest: sha256(STACK), sizeBytes: STACK.length }),
  );
  const { digest } = await blobs.put(Readable.from([LAYER]));
  const app = await anApp(store, { name: 'Shop', space_guid: test.home.spaceGuid });
  await aProcess(store, { guid: app.guid, app_guid: app.guid, command: null });
  const layers_json = JSON.stringify([{ digest, sizeBytes: LAYER.length, kind: 'app', mountPath: '/home/vcap' }]);
  const given = { app_guid: app.guid, state: 'STAGED' as const, stack_digest: 'stack', layers_json };
  const old = await aDroplet(store, { ...given, process_types_json: '{"web":"old"}' });
  const current = await aDroplet(store, given);
  await store.mutate(({ db }) =>
    db.updateTable('apps').set({ current_droplet_guid: current.guid }).where('guid', '=', app.guid).execute(),
  );
  const names = await store.read
    .selectFrom('spaces')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .where('spaces.guid', '=', test.home.spaceGuid)
    .select(['spaces.name as space', 'organizations.name as organization'])
    .executeTakeFirstOrThrow();
  return { app, old, current, repository: `${names.organization}/${names.space}/shop`.toLowerCase() };
}

const get = (test: TestApi, path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${test.url}${path}`, { method, headers });

async function tokenFor(test: TestApi, repository: string, access: string): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`bearer:${access}`).toString('base64')}`;
  return get(test, `/v2/token?service=cupola&client_id=docker&scope=repository:${repository}:pull`, { authorization });
}
async function opener(test: TestApi, repository: string, access = test.admin): Promise<Record<string, string>> {
  const { token } = (await (await tokenFor(test, repository, access)).json()) as { token: string };
  return { authorization: `Bearer ${token}` };
}

test('who asks without a token is told where to get one', async () => {
  await using test = await startTestApi();
  const { repository } = await aShop(test);
  for (const path of ['/v2/', `/v2/${repository}/manifests/latest`]) {
    const answer = await get(test, path);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain(`Bearer realm="${test.url}/v2/token",service="cupola"`);
    expect(await answer.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
  }
});

test('an image is found by latest, by its droplet and by its digest, and all of its parts by theirs', async () => {
  await using test = await startTestApi();
  const { repository, current, old } = await aShop(test);
  const headers = await opener(test, repository);
  const at = (path: string, method = 'GET') => get(test, `/v2/${repository}/${path}`, headers, method);
  const { tags } = (await (await at('tags/list')).json()) as { tags: string[] };
  expect(tags.sort()).toEqual(['latest', current.guid, old.guid].sort());
  const latest = await at('manifests/latest');
  expect(latest.headers.get('content-type')).toBe('application/vnd.oci.image.manifest.v1+json');
  const digest = latest.headers.get('docker-content-digest') ?? '';
  const bytes = Buffer.from(await latest.arrayBuffer());
  expect(digest).toBe(`sha256:${sha256(bytes)}`);
  for (const reference of [current.guid, digest]) {
    const same = await at(`manifests/${reference}`);
    expect(Buffer.from(await same.arrayBuffer())).toEqual(bytes);
  }
  const head = await at('manifests/latest', 'HEAD');
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)]);
  expect((await at(`manifests/${old.guid}`)).headers.get('docker-content-digest')).not.toBe(digest);

  const manifest = JSON.parse(bytes.toString()) as { config: Part; layers: Part[] };
  for (const part of [manifest.config, ...manifest.layers]) {
    const blob = Buffer.from(await (await at(`blobs/${part.digest}`)).arrayBuffer());
    expect([`sha256:${sha256(blob)}`, blob.length]).toEqual([part.digest, part.size]);
  }
  expect(manifest.layers.map(part => part.digest)).toEqual(
    expect.arrayContaining([`sha256:${sha256(STACK)}`, `sha256:${sha256(LAYER)}`]),
  );
});
interface Part {
  digest: string;
  size: number;
}

test('a part of a layer is what a range asks for', async () => {
  await using test = await startTestApi();
  const { repository } = await aShop(test);
  const headers = await opener(test, repository);
  for (const [digest, whole] of [
    [sha256(LAYER), LAYER],
    [sha256(STACK), STACK],
  ] as const)
    for (const [range, from, to] of [
      ['bytes=4-8', 4, 9],
      ['bytes=4-', 4, whole.length],
      ['bytes=-3', whole.length - 3, whole.length],
      ['bytes=0-999', 0, whole.length],
    ] as const) {
      const answer = await get(test, `/v2/${repository}/blobs/sha256:${digest}`, { ...headers, range });
      expect([answer.status, await answer.text()]).toEqual([206, whole.subarray(from, to).toString()]);
      expect(answer.headers.get('content-range')).toBe(`bytes ${from}-${to - 1}/${whole.length}`);
    }
  const beyond = await get(test, `/v2/${repository}/blobs/sha256:${sha256(LAYER)}`, {
    ...headers,
    range: 'bytes=999-',
  });
  expect(beyond.status).toBe(416);
});

test('a token opens the images of one app, for those who may download its droplets, and nothing else', async () => {
  await using test = await startTestApi();
  const { repository } = await aShop(test);
  await anApp(test.deps.store, { name: 'other', space_guid: test.home.spaceGuid });
  const manifest = `/v2/${repository}/manifests/latest`;
  const statusFor = async (access: string): Promise<number> =>
    (await get(test, manifest, await opener(test, repository, access))).status;
  const developer = await test.userWith({ space_developer: test.home.spaceGuid });
  const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
  expect([await statusFor(developer.token), await statusFor(auditor.token)]).toEqual([200, 401]);

  const ofOther = await opener(test, repository.replace('shop', 'other'), developer.token);
  expect((await get(test, manifest, ofOther)).status).toBe(401);
  const own = await opener(test, repository, developer.token);
  expect((await get(test, '/v3/apps', own)).status).toBe(401);
  expect((await get(test, manifest, { authorization: `bearer ${developer.token}` })).status).toBe(401);
  expect((await get(test, `/v2/${repository}/blobs/sha256:${'0'.repeat(64)}`, own)).status).toBe(404);
  test.clock.pass(301_000);
  expect((await get(test, manifest, own)).status).toBe(401);
});

test('a wrong login is refused, and counted as everywhere', async () => {
  await using test = await startTestApi();
  const { repository } = await aShop(test);
  expect((await tokenFor(test, repository, 'forged')).status).toBe(401);
  expect((await get(test, '/v2/token')).status).toBe(401);
  const wrong = { authorization: `Basic ${Buffer.from('admin:wrong').toString('base64')}` };
  expect((await get(test, '/v2/token', wrong)).status).toBe(401);
});
