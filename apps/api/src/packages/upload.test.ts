import { lstatSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzip } from '@cupola/archive/unzip';
import { type ForgedEntry, forgeZip } from '@cupola/archive/zip-fixtures';
import { packageAnswer } from '@cupola/contract/v3/package';
import { aSpace } from '@cupola/store/fixtures';
import { describe, expect, test, vi } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { anAppWithWeb, newPackage, offered, pushed, upload } from './fixtures.ts';

const SERVER = 'require("http").createServer().listen(8080);';
const APP: ForgedEntry[] = [
  { name: 'server.js', content: SERVER, deflate: true },
  { name: 'lib/', mode: 0o040755 },
  { name: 'lib/run.sh', content: '#!/bin/sh\n', mode: 0o100755 },
  { name: 'current', content: 'lib/run.sh', mode: 0o120777 },
  { name: 'empty', content: '' },
];

/** The package's files by path: what, and with which mode. */
async function filesOf(test: TestApi, guid: string): Promise<Record<string, string>> {
  const { digest } = await test.deps.store.read
    .selectFrom('packages')
    .select('digest')
    .where('guid', '=', guid)
    .executeTakeFirstOrThrow();
  const out = join(test.deps.config.uploadFolder, '..', '..', `out-${guid}`);
  mkdirSync(out);
  await unzip((await test.deps.blobs.localFile(digest ?? '')) ?? '', out, { unpackedMaxBytes: 10_000_000 });
  const files = readdirSync(out, { recursive: true, withFileTypes: true }).filter(found => !found.isDirectory());
  return Object.fromEntries(
    files
      .map(({ parentPath, name }) => join(parentPath, name))
      .map(path => [
        path.slice(out.length + 1),
        `${(lstatSync(path).mode & 0o777).toString(8)} ${readFileSync(path, 'utf8')}`,
      ]),
  );
}

const left = (test: TestApi): string[] => readdirSync(test.deps.config.uploadFolder);

describe('POST /v3/packages/:guid/upload', () => {
  test('answers READY, keeps files, modes, links and folders, and leaves no other file', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const { status, body } = await pushed(test, app.guid, { bits: APP, resources: [] });
    expect(status).toBe(200);
    expect(packageAnswer.parse(body)).toEqual(body);
    expect(body).toMatchObject({ type: 'bits', state: 'READY', data: { error: null } });
    expect(body.data.checksum.value).toMatch(/^[0-9a-f]{64}$/);
    expect(await filesOf(test, body.guid)).toEqual({
      'server.js': `644 ${SERVER}`,
      'lib/run.sh': '755 #!/bin/sh\n',
      current: '777 #!/bin/sh\n',
      empty: '644 ',
    });
    expect(left(test)).toEqual([]);
  });

  test('works without a resources field, as create-package sends it', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    expect((await pushed(test, app.guid, { bits: APP })).body.state).toBe('READY');
  });

  test('of matched files and new ones gives the same files as an upload of all', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await pushed(test, app.guid, { bits: APP, resources: [] });
    const answer = await pushed(test, app.guid, {
      bits: [{ name: 'new.js', content: 'new()' }],
      resources: [offered('moved/server.js', SERVER), offered('lib/run.sh', '#!/bin/sh\n', '100755')],
    });
    expect(answer.status).toBe(200);
    expect(await filesOf(test, answer.body.guid)).toEqual({
      'new.js': '644 new()',
      'moved/server.js': `644 ${SERVER}`,
      'lib/run.sh': '755 #!/bin/sh\n',
    });
  });

  test('needs no bits when every file was matched', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await pushed(test, app.guid, { bits: APP });
    const { status, body } = await pushed(test, app.guid, { resources: [offered('server.js', SERVER)] });
    expect([status, body.state]).toEqual([200, 'READY']);
    expect(await filesOf(test, body.guid)).toEqual({ 'server.js': `644 ${SERVER}` });
    // The dashboard sends its empty zip along.
    const empty = await pushed(test, app.guid, { bits: [], resources: [offered('server.js', SERVER)] });
    expect([empty.status, await filesOf(test, empty.body.guid)]).toEqual([200, { 'server.js': `644 ${SERVER}` }]);
  });

  test('refuses a zip that leaves its folder: 400 with entry and rule, package FAILED with the same words, nothing kept', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const guid = await newPackage(test, app.guid);
    const { status, body } = await upload(test, guid, { bits: [{ name: '../../x', content: 'evil' }] });
    expect(status).toBe(400);
    expect(body.errors).toEqual([
      {
        code: 160001,
        title: 'CF-AppBitsUploadInvalid',
        detail: expect.stringContaining('The archive was refused: entry "../../x" leaves the archive by "..".'),
      },
    ]);
    const shown = await test.api('GET', `/v3/packages/${guid}`, { token: test.admin });
    expect(shown.body).toMatchObject({ state: 'FAILED', data: { error: expect.stringContaining('"../../x"') } });
    expect(left(test)).toEqual([]);
    expect(await Array.fromAsync(test.deps.blobs.list())).toEqual([]);
    expect((await upload(test, guid, { bits: APP })).status).toBe(422);
  });

  test.each<[rule: string, bits: ForgedEntry[] | Buffer, resources: unknown]>([
    ['cannot be read as a zip', Buffer.from('no zip'), []],
    ['cannot be read as a zip', Buffer.alloc(0), []],
    ['is a link out of the archive', [{ name: 'a', content: '../../etc/passwd', mode: 0o120777 }], []],
    ['lies below "a", which is a link', [{ name: 'a', content: 'b', mode: 0o120777 }, { name: 'a/passwd' }], []],
    ['is no file, folder or link', [{ name: 'null', mode: 0o020666 }], []],
    ['is not as long as the archive says', [{ name: 'a', content: 'x'.repeat(500), deflate: true, saidSize: 600 }], []],
  ])('refuses bits that break a rule: %s', async (rule, bits, resources) => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const { status, body } = await pushed(test, app.guid, { bits, resources: resources as unknown[] });
    expect([status, body.errors[0].code]).toEqual([400, 160001]);
    expect(body.errors[0].detail).toContain(rule);
    expect(left(test)).toEqual([]);
  });

  test.each<[words: RegExp, resources: unknown[] | string]>([
    [/no JSON/, '{'],
    [/must be a JSON array/, '{}'],
    [/sha1/, [{ path: 'a', mode: '644', checksum: { value: 'abc' }, size_in_bytes: 1 }]],
    [/octal/, [{ ...offered('a', 'x'), mode: 'rwx' }]],
    [/"\.\.\/server.js" leaves the archive/, [offered('../server.js', SERVER)]],
    [/"\/server.js" has an absolute name/, [offered('/server.js', SERVER)]],
    [/twice/, [offered('server.js', SERVER), offered('server.js', SERVER)]],
    [/twice/, [offered('./new.js', SERVER)]],
    [/upper and lower case/, [offered('NEW.js', SERVER)]],
    [/"new.js" is in the archive twice/, [offered('new.js/server.js', SERVER)]],
    [/"secret" was said to be here already, but it is not/, [offered('secret', 'never uploaded')]],
  ])('refuses resources that cannot be used: %s', async (words, resources) => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await pushed(test, app.guid, { bits: APP });
    const answer = await pushed(test, app.guid, { bits: [{ name: 'new.js', content: 'new' }], resources });
    expect([answer.status, answer.body.errors[0].code]).toEqual([400, 160001]);
    expect(answer.body.errors[0].detail).toMatch(words);
    expect(left(test)).toEqual([]);
  });

  test('without bits and resources is 422; the package still waits', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const guid = await newPackage(test, app.guid);
    const answer = await upload(test, guid, {});
    expect([answer.status, answer.body.errors[0].detail]).toEqual([
      422,
      'Upload must include either resources or bits',
    ]);
    expect((await upload(test, guid, { bits: APP })).status).toBe(200);
  });

  test('of more than the app may keep on its disk says so', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await test.deps.store.mutate(({ db }) => db.updateTable('processes').set({ disk_mb: 1 }).execute());
    const answer = await pushed(test, app.guid, {
      bits: [{ name: 'large', content: Buffer.alloc(2 * 1024 * 1024), deflate: true }],
    });
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0].detail).toContain('"large" makes the app larger than 1048576 bytes unpacked');
  });

  test('again with the same bits is answered again, with others refused: bits never change', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const guid = await newPackage(test, app.guid);
    const first = await upload(test, guid, { bits: APP });
    const again = await upload(test, guid, { bits: APP });
    expect([again.status, again.body]).toEqual([200, first.body]);
    const other = await upload(test, guid, { bits: [{ name: 'b', content: 'other' }] });
    expect([other.status, other.body.errors[0].detail]).toEqual([
      422,
      'Bits may be uploaded only once. Create a new package to upload different bits.',
    ]);
    expect((await test.deps.store.read.selectFrom('builds').select('guid').execute()).length).toBe(1);
  });

  test('again with matched files, after the answer was lost, is answered again too', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await pushed(test, app.guid, { bits: APP });
    const sent = {
      bits: [{ name: 'new.js', content: 'new' }],
      resources: [offered('x/server.js', SERVER), offered('lib/run.sh', '#!/bin/sh\n', '755')],
    };
    const guid = await newPackage(test, app.guid);
    const first = await upload(test, guid, sent);
    expect(await upload(test, guid, sent)).toMatchObject({ status: 200, body: first.body });
  });

  test('is for space developers of the app alone; others do not learn that it is there', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const guid = await newPackage(test, app.guid);
    const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
    const stranger = await test.userWith({ space_developer: (await aSpace(test.deps.store)).guid });
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    const statuses = [
      (await upload(test, guid, { bits: APP, token: auditor.token })).status,
      (await upload(test, guid, { bits: APP, token: stranger.token })).status,
      (await upload(test, guid, { bits: APP, token: developer.token })).status,
    ];
    expect(statuses).toEqual([403, 404, 200]);
  });

  test('takes a token that ended a moment ago, not one that ended long ago', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const guids = [await newPackage(test, app.guid), await newPackage(test, app.guid)];
    test.clock.pass(601_000 + 1_000_000);
    expect((await test.api('GET', '/v3/apps', { token: test.admin })).status).toBe(401);
    expect((await upload(test, guids[0] ?? '', { bits: APP })).status).toBe(200);
    test.clock.pass(1_000_000);
    expect((await upload(test, guids[1] ?? '', { bits: APP })).status).toBe(401);
  });

  test('when a pack is damaged says so once; the next push sends those files', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    const file = (await test.deps.blobs.localFile(first.body.data.checksum.value)) ?? '';
    writeFileSync(file, readFileSync(file).fill(0, 0, 60));
    const refused = await pushed(test, app.guid, { resources: [offered('server.js', SERVER)] });
    expect([refused.status, refused.body.errors[0].code]).toEqual([400, 160001]);
    expect(refused.body.errors[0].detail).toMatch(/cannot be used. Push again: it will be sent/);
    const asked = await test.api('POST', '/v3/resource_matches', {
      token: test.admin,
      body: { resources: [offered('server.js', SERVER)] },
    });
    expect(asked.body.resources).toEqual([]);
  });

  test('when a pack is gone, or cut short, says the same', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    truncateSync((await test.deps.blobs.localFile(first.body.data.checksum.value)) ?? '', 40);
    expect((await pushed(test, app.guid, { resources: [offered('server.js', SERVER)] })).status).toBe(400);
    const second = await pushed(test, app.guid, { bits: [{ name: 'b', content: 'other' }] });
    await test.deps.blobs.remove(second.body.data.checksum.value);
    const refused = await pushed(test, app.guid, { resources: [offered('b', 'other')] });
    expect(refused.body.errors[0].detail).toMatch(/Push again: it will be sent/);
    expect(left(test)).toEqual([]);
  });
});

test('a package that is deleted while its bits come is not made READY, and nothing begins', async () => {
  await using test = await startTestApi();
  const app = await anAppWithWeb(test);
  const guid = await newPackage(test, app.guid);
  const form = new FormData();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  form.append('bits', new Blob([new Uint8Array(forgeZip(APP))]), 'package.zip');
  const whole = new Response(form);
  const bytes = new Uint8Array(await whole.arrayBuffer());
  const answer = fetch(`${test.url}/v3/packages/${guid}/upload`, {
    method: 'POST',
    headers: {
      authorization: `bearer ${test.admin}`,
      'content-type': whole.headers.get('content-type') ?? '',
    },
    body: readable,
    duplex: 'half',
  } as RequestInit);
  const writer = writable.getWriter();
  await writer.write(bytes.subarray(0, -80));
  await vi.waitFor(() => expect(left(test).length).toBe(1), 30_000);
  expect((await test.api('DELETE', `/v3/packages/${guid}`, { token: test.admin })).status).toBe(202);
  await writer.write(bytes.subarray(-80));
  await writer.close();
  expect((await answer).status).toBe(404);
  expect(left(test)).toEqual([]);
  expect(await test.deps.store.read.selectFrom('builds').select('guid').execute()).toEqual([]);
});
