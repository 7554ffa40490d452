import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type TarEntry, tarEnd, tarHeader, tarPadding } from '@cupola/archive/tar-bytes';
import { dropletAnswer } from '@cupola/contract/v3/build';
import type { Layer } from '@cupola/model/run-spec';
import { aDroplet, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { anAppWithWeb } from '../packages/fixtures.ts';

/** A layer with these files, stored. */
async function aLayer(test: TestApi, kind: Layer['kind'], files: Record<string, string>): Promise<Layer> {
  const bytes = Object.entries(files).flatMap(([name, text]) => {
    const content = Buffer.from(text);
    const isFolder = name.endsWith('/');
    const entry: TarEntry = {
      kind: isFolder ? 'folder' : 'file',
      name: name.replace(/\/$/, ''),
      mode: isFolder ? 0o755 : 0o644,
      owner: 2000,
      sizeBytes: content.length,
      target: '',
    };
    return [...tarHeader(entry), content, tarPadding(content.length)];
  });
  const info = await test.deps.blobs.put(Readable.from([...bytes, tarEnd()]));
  return { ...info, kind, mountPath: kind === 'app' ? '/home/vcap' : '/toolchains/node' };
}

/** Names and contents of a plain tar, from its blocks. */
function filesOf(tar: Buffer): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; tar[at] !== 0; ) {
    const name = tar.toString('utf8', at, tar.indexOf(0, at));
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8);
    found[name] = tar.toString('utf8', at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return found;
}

async function aStagedDroplet(test: TestApi) {
  const app = await anAppWithWeb(test);
  const layers = [
    await aLayer(test, 'toolchain', { 'toolchains/': '', 'toolchains/node/bin/node': 'ELF' }),
    await aLayer(test, 'app', {
      'home/': '',
      'home/vcap/': '',
      'home/vcap/app/': '',
      'home/vcap/app/server.js': 'serve()',
    }),
  ];
  const droplet = await aDroplet(test.deps.store, {
    app_guid: app.guid,
    layers_json: JSON.stringify(layers),
    buildpacks_json: JSON.stringify([
      { name: 'nodejs_buildpack', buildpackName: 'nodejs', detectOutput: 'node', version: '1.0.0' },
    ]),
  });
  return { app, droplet, layers };
}

test('GET /v3/droplets/:guid shows a droplet as CF does', async () => {
  await using test = await startTestApi();
  const { app, droplet, layers } = await aStagedDroplet(test);
  const { status, body } = await test.api('GET', `/v3/droplets/${droplet.guid}`, { token: test.admin });
  expect(status).toBe(200);
  expect(dropletAnswer.parse(body)).toEqual(body);
  expect(body).toMatchObject({
    state: 'STAGED',
    checksum: { type: 'sha256', value: layers[1]?.digest },
    buildpacks: [{ name: 'nodejs_buildpack', buildpack_name: 'nodejs', detect_output: 'node', version: '1.0.0' }],
    process_types: { web: 'npm start' },
    relationships: { app: { data: { guid: app.guid } } },
  });
});

describe('GET /v3/droplets/:guid/download', () => {
  test('gives one gzipped tar of all layers, the app where CF has it', async () => {
    await using test = await startTestApi();
    const { droplet } = await aStagedDroplet(test);
    const answer = await fetch(new URL(`/v3/droplets/${droplet.guid}/download`, test.url), {
      headers: { authorization: `bearer ${test.admin}` },
    });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/gzip']);
    expect(filesOf(gunzipSync(Buffer.from(await answer.arrayBuffer())))).toEqual({
      './toolchains/': '',
      './toolchains/node/bin/node': 'ELF',
      './app/': '',
      './app/server.js': 'serve()',
    });
  });

  test('is for developers, of what is staged and whole', async () => {
    await using test = await startTestApi();
    const { app, droplet, layers } = await aStagedDroplet(test);
    const get = (guid: string, token = test.admin) => test.api('GET', `/v3/droplets/${guid}/download`, { token });
    const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
    const stranger = await test.userWith({ space_developer: (await aSpace(test.deps.store)).guid });
    expect([(await get(droplet.guid, auditor.token)).status, (await get(droplet.guid, stranger.token)).status]).toEqual(
      [403, 404],
    );
    const expired = await aDroplet(test.deps.store, { app_guid: app.guid, state: 'EXPIRED' });
    expect((await get(expired.guid)).body.errors[0].detail).toBe('Only staged droplets can be downloaded.');
    await test.deps.blobs.remove(layers[0]?.digest ?? '');
    expect((await get(droplet.guid)).body.errors[0].detail).toBe('A part of this droplet is gone. Restage the app.');
  });

  test('ends early when a layer is damaged: nobody takes it for whole', async () => {
    await using test = await startTestApi();
    const { app } = await aStagedDroplet(test);
    const layer = await aLayer(test, 'app', { 'home/vcap/app/big': 'x'.repeat(3_000_000) });
    const lie = { ...layer, digest: 'f'.repeat(64) };
    const path = (await test.deps.blobs.localFile(layer.digest)) ?? '';
    await test.deps.blobs.adopt(path, lie);
    const droplet = await aDroplet(test.deps.store, { app_guid: app.guid, layers_json: JSON.stringify([lie]) });
    const answer = await fetch(new URL(`/v3/droplets/${droplet.guid}/download`, test.url), {
      headers: { authorization: `bearer ${test.admin}` },
    });
    await expect(buffer(Readable.from(answer.body ?? []))).rejects.toThrow();
  });
});

describe('POST /v3/droplets', () => {
  const copy = (test: TestApi, source: string, appGuid: string, token = test.admin) =>
    test.api('POST', `/v3/droplets${source}`, { token, body: { relationships: { app: { data: { guid: appGuid } } } } });

  test('?source_guid= copies a staged droplet to another app', async () => {
    await using test = await startTestApi();
    const { droplet, layers } = await aStagedDroplet(test);
    const to = await anAppWithWeb(test);
    const { status, body } = await copy(test, `?source_guid=${droplet.guid}`, to.guid);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      state: 'STAGED',
      checksum: { value: layers[1]?.digest },
      relationships: { app: { data: { guid: to.guid } } },
    });
    const current = await test.api('PATCH', `/v3/apps/${to.guid}/relationships/current_droplet`, {
      token: test.admin,
      body: { data: { guid: body.guid } },
    });
    expect(current.status).toBe(200);
  });

  test('?source_guid= is for developers of both apps', async () => {
    await using test = await startTestApi();
    const { droplet } = await aStagedDroplet(test);
    const space = await aSpace(test.deps.store);
    const to = await anAppWithWeb(test, { space_guid: space.guid });
    const source = `?source_guid=${droplet.guid}`;
    const stranger = await test.userWith({ space_developer: space.guid });
    const reader = await test.userWith({ space_developer: space.guid, space_auditor: test.home.spaceGuid });
    const owner = await test.userWith({ space_developer: test.home.spaceGuid });
    expect([
      (await copy(test, source, to.guid, stranger.token)).status,
      (await copy(test, source, to.guid, reader.token)).status,
      (await copy(test, source, to.guid, owner.token)).status,
    ]).toEqual([404, 403, 404]);
  });

  test('?source_guid= of one that is not staged is refused', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const expired = await aDroplet(test.deps.store, { app_guid: app.guid, state: 'EXPIRED' });
    expect((await copy(test, `?source_guid=${expired.guid}`, app.guid)).body.errors[0].detail).toBe(
      'source droplet is not staged',
    );
  });
});

describe('POST /v3/droplets/:guid/upload', () => {
  const made = async (test: TestApi, appGuid: string, more: object = {}): Promise<string> => {
    const body = { relationships: { app: { data: { guid: appGuid } } }, ...more };
    const answer = await test.api('POST', '/v3/droplets', { token: test.admin, body });
    expect([answer.status, answer.body.state]).toEqual([201, 'AWAITING_UPLOAD']);
    return answer.body.guid;
  };
  const send = (test: TestApi, guid: string, bytes: Buffer, name = 'droplet.tgz') => {
    const form = new FormData();
    form.append('bits', new Blob([new Uint8Array(bytes)]), name);
    return test.api('POST', `/v3/droplets/${guid}/upload`, { token: test.admin, form });
  };
  const get = async (test: TestApi, path: string) => (await test.api('GET', path, { token: test.admin })).body;
  const downloaded = async (test: TestApi, guid: string): Promise<Buffer> => {
    const answer = await fetch(new URL(`/v3/droplets/${guid}/download`, test.url), {
      headers: { authorization: `bearer ${test.admin}` },
    });
    return Buffer.from(await answer.arrayBuffer());
  };
  const aTar = (files: Record<string, string>): Buffer =>
    gzipSync(
      Buffer.concat([
        ...Object.entries(files).flatMap(([name, text]) => {
          const sizeBytes = Buffer.byteLength(text);
          const header = tarHeader({ kind: 'file', name, mode: 0o644, owner: 0, sizeBytes, target: '' });
          return [...header, Buffer.from(text), tarPadding(sizeBytes)];
        }),
        tarEnd(),
      ]),
    );

  test('what was downloaded is the same droplet again, with its toolchain; its job is complete', async () => {
    await using test = await startTestApi();
    const { droplet } = await aStagedDroplet(test);
    const first = await downloaded(test, droplet.guid);
    const app = await anAppWithWeb(test);
    const guid = await made(test, app.guid);
    const answer = await send(test, guid, first);
    expect([answer.status, answer.body.state]).toEqual([202, 'STAGED']);
    expect(dropletAnswer.parse(answer.body)).toEqual(answer.body);
    const job = answer.headers.get('location') ?? '';
    expect(await get(test, new URL(job).pathname)).toMatchObject({ operation: 'droplet.upload', state: 'COMPLETE' });
    const before = filesOf(gunzipSync(first));
    const after = filesOf(gunzipSync(await downloaded(test, guid)));
    // The folder around the toolchains is nobody's.
    const { './toolchains/': _, ...files } = before;
    expect(after).toMatchObject(files);
    const current = await test.api('PATCH', `/v3/apps/${app.guid}/relationships/current_droplet`, {
      token: test.admin,
      body: { data: { guid } },
    });
    expect(current.status).toBe(200);
  });

  test('the command is that of the request, else what the builder wrote', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const bytes = aTar({ './app/a': 'x', './staging_info.yml': '{"detected_buildpack":"go","start_command":"./a"}' });
    const [given, built] = [await made(test, app.guid, { process_types: { web: './b' } }), await made(test, app.guid)];
    expect((await send(test, given, bytes)).body.process_types).toEqual({ web: './b' });
    expect((await send(test, built, bytes)).body.process_types).toEqual({ web: './a' });
  });

  test('only once', async () => {
    await using test = await startTestApi();
    const guid = await made(test, (await anAppWithWeb(test)).guid);
    await send(test, guid, aTar({ 'app/a': 'x' }));
    const again = await send(test, guid, aTar({ 'app/a': 'x' }));
    expect([again.status, again.body.errors[0].detail]).toEqual([
      422,
      'Droplet may be uploaded only once. Create a new droplet to upload bits.',
    ]);
  });

  test('what leaves the droplet is refused by name, and the droplet has failed', async () => {
    await using test = await startTestApi();
    const guid = await made(test, (await anAppWithWeb(test)).guid);
    const answer = await send(test, guid, aTar({ 'app/../../etc/passwd': 'x' }));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.body.errors[0].detail).toMatch(/app\/\.\.\/\.\.\/etc\/passwd/);
    expect(await get(test, `/v3/droplets/${guid}`)).toMatchObject({ state: 'FAILED' });
  });

  test('what is no gzipped tar, or has another name, is refused', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const noise = await send(test, await made(test, app.guid), Buffer.alloc(2_048, 'noise'));
    expect(noise.body.errors[0].detail).toMatch(/cannot be read as a gzipped tar/);
    const zip = await send(test, await made(test, app.guid), Buffer.from('PK'), 'app.zip');
    expect(zip.body.errors[0].detail).toBe('app.zip is not a tgz');
  });
});

test('GET /v3/droplets filters by app, state and space; an app’s own list knows the current one', async () => {
  await using test = await startTestApi();
  const { app, droplet } = await aStagedDroplet(test);
  const newer = await aDroplet(test.deps.store, { app_guid: app.guid, state: 'EXPIRED', created_at: Date.now() });
  await test.api('PATCH', `/v3/apps/${app.guid}/relationships/current_droplet`, {
    token: test.admin,
    body: { data: { guid: droplet.guid } },
  });
  const guids = async (path: string) =>
    (await test.api('GET', path, { token: test.admin })).body.resources.map(({ guid }: { guid: string }) => guid);
  expect(await guids(`/v3/droplets?app_guids=${app.guid}&order_by=-created_at`)).toEqual([newer.guid, droplet.guid]);
  expect(await guids('/v3/droplets?states=EXPIRED')).toEqual([newer.guid]);
  expect(await guids(`/v3/droplets?guids=${droplet.guid}&app_guids=${app.guid}&page=1&per_page=1`)).toEqual([
    droplet.guid,
  ]);
  expect(await guids(`/v3/droplets?space_guids=${test.home.spaceGuid}`)).toHaveLength(2);
  expect(await guids(`/v3/apps/${app.guid}/droplets?current=true`)).toEqual([droplet.guid]);
});

test('DELETE /v3/droplets/:guid takes one that its app does not use, and no other', async () => {
  await using test = await startTestApi();
  const { app, droplet } = await aStagedDroplet(test);
  const other = await aDroplet(test.deps.store, { app_guid: app.guid });
  await test.api('PATCH', `/v3/apps/${app.guid}/relationships/current_droplet`, {
    token: test.admin,
    body: { data: { guid: droplet.guid } },
  });
  const remove = (guid: string) => test.api('DELETE', `/v3/droplets/${guid}`, { token: test.admin });
  expect((await remove(droplet.guid)).status).toBe(422);
  expect((await remove(other.guid)).status).toBe(202);
  expect((await test.api('GET', `/v3/droplets/${other.guid}`, { token: test.admin })).status).toBe(404);
});

test('PATCH /v3/droplets/:guid sets labels', async () => {
  await using test = await startTestApi();
  const { droplet } = await aStagedDroplet(test);
  const { body } = await test.api('PATCH', `/v3/droplets/${droplet.guid}`, {
    token: test.admin,
    body: { metadata: { labels: { a: 'b' } } },
  });
  expect(body.metadata.labels).toEqual({ a: 'b' });
});
