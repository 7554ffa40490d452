import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzip } from '@cupola/archive/unzip';
import type { ForgedEntry } from '@cupola/archive/zip-fixtures';
import { packageAnswer } from '@cupola/contract/v3/package';
import { aSpace } from '@cupola/store/fixtures';
import { describe, expect, test, vi } from 'vitest';
import { startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';
import { anAppWithWeb, newPackage, offered, pushed, type Sent, uploadTo } from './fixtures.ts';

const APP: ForgedEntry[] = [
  { name: 'a.js', content: 'old a' },
  { name: 'b.js', content: 'b', mode: 0o100755 },
  { name: 'c.js', content: 'c'.repeat(500), deflate: true },
];

/** `POST /v3/packages/:guid/upload_changes` of a new package. */
async function changed(
  test: TestApi,
  appGuid: string,
  { base, ...sent }: Sent & { base?: unknown },
): Promise<TestAnswer> {
  const guid = await newPackage(test, appGuid, sent.token);
  return uploadTo(test, `${guid}/upload_changes`, { ...sent, base });
}

/** As a client names the package that an upload was answered with. */
const baseOf = ({ body }: TestAnswer, without: readonly string[] = []) => ({
  guid: body.guid,
  checksum: body.data.checksum.value,
  without,
});

async function filesOf(test: TestApi, { body }: TestAnswer): Promise<Record<string, string>> {
  const out = join(test.deps.config.uploadFolder, '..', '..', `out-${body.guid}`);
  mkdirSync(out);
  await unzip((await test.deps.blobs.localFile(body.data.checksum.value)) ?? '', out, { unpackedMaxBytes: 10_000_000 });
  return Object.fromEntries(readdirSync(out).map(name => [name, readFileSync(join(out, name), 'utf8')]));
}

const left = (test: TestApi): string[] => readdirSync(test.deps.config.uploadFolder);

describe('POST /v3/packages/:guid/upload_changes', () => {
  test('makes a package of an earlier one, without what does not stay, with what was sent and matched', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    const second = await changed(test, app.guid, {
      base: baseOf(first, ['a.js', 'b.js']),
      bits: [{ name: 'a.js', content: 'new a' }],
      resources: [offered('moved.js', 'b')],
    });
    expect(second).toMatchObject({ status: 200, body: { state: 'READY', data: { error: null } } });
    expect(packageAnswer.parse(second.body)).toEqual(second.body);
    expect(await filesOf(test, second)).toEqual({ 'a.js': 'new a', 'c.js': 'c'.repeat(500), 'moved.js': 'b' });
    expect(left(test)).toEqual([]);
  });

  test('may be nothing but a base', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    const second = await changed(test, app.guid, { base: baseOf(first) });
    expect([second.status, second.body.data.checksum]).toEqual([200, first.body.data.checksum]);
  });

  test('tells which content came, as an upload of everything does', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const sha1 = (content: string): string => createHash('sha1').update(content).digest('hex');
    const told = (...contents: string[]) => ({
      type: 'sha256',
      value: createHash('sha256').update(contents.map(sha1).join('')).digest('hex'),
    });
    const first = await pushed(test, app.guid, { bits: [...APP, { name: 'empty' }] });
    expect(first.body.data.sent).toEqual(told('old a', 'b', 'c'.repeat(500)));
    const second = await changed(test, app.guid, { base: baseOf(first), bits: [{ name: 'd.js', content: 'd' }] });
    expect(second.body.data.sent).toEqual(told('d'));
    const shown = await test.api('GET', `/v3/packages/${second.body.guid}`, { token: test.admin });
    expect(shown.body.data.sent).toBeUndefined();
  });

  test('again with the same changes, after the answer was lost, is answered again', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    const guid = await newPackage(test, app.guid);
    const sent = { base: baseOf(first, ['a.js']), bits: [{ name: 'a.js', content: 'new a' }] };
    const once = await uploadTo(test, `${guid}/upload_changes`, sent);
    expect(await uploadTo(test, `${guid}/upload_changes`, sent)).toMatchObject({ status: 200, body: once.body });
  });

  test('what stays can be matched from the newest package, so that older ones may go', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    const second = await changed(test, app.guid, {
      base: baseOf(first, ['a.js']),
      bits: [{ name: 'a.js', content: 'new a' }],
    });
    const stay = () =>
      test.deps.store.read
        .selectFrom('resources')
        .select('blob_digest')
        .where('sha1', 'in', [offered('', 'b').checksum.value, offered('', 'c'.repeat(500)).checksum.value])
        .distinct()
        .execute();
    await vi.waitFor(
      async () => expect(await stay()).toEqual([{ blob_digest: second.body.data.checksum.value }]),
      30_000,
    );
    await test.deps.blobs.remove(first.body.data.checksum.value);
    const third = await pushed(test, app.guid, {
      resources: [offered('a', 'new a'), offered('b', 'b'), offered('c', 'c'.repeat(500))],
    });
    expect(await filesOf(test, third)).toEqual({ a: 'new a', b: 'b', c: 'c'.repeat(500) });
  });

  test.each<[words: RegExp, base: (first: TestAnswer) => unknown]>([
    [/no READY package .* Upload all files/, first => ({ ...baseOf(first), guid: 'unknown' })],
    [/no READY package .* Upload all files/, first => ({ ...baseOf(first), checksum: 'a'.repeat(64) })],
    [/no file or folder "other". Upload all files/, first => baseOf(first, ['other'])],
  ])('refuses a base that does not fit with 422, and the package still waits: %s', async (words, base) => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    const guid = await newPackage(test, app.guid);
    const refused = await uploadTo(test, `${guid}/upload_changes`, { base: base(first) });
    expect(refused.status).toBe(422);
    expect(refused.body.errors[0].detail).toMatch(words);
    expect(left(test)).toEqual([]);
    expect((await uploadTo(test, `${guid}/upload`, { bits: APP })).status).toBe(200);
  });

  test.each<[words: RegExp, base: unknown]>([
    [/"base" .* no JSON/, undefined],
    [/guid must be a string/, { checksum: 'a'.repeat(64), without: [] }],
    [/not a sha256/, { guid: 'g', checksum: 'abc', without: [] }],
    [/without must be an array/, { guid: 'g', checksum: 'a'.repeat(64), without: 'a' }],
  ])('refuses a base of another form with 400: %s', async (words, base) => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const refused = await changed(test, app.guid, { base, bits: APP });
    expect(refused.status).toBe(400);
    expect(refused.body.errors[0].detail).toMatch(words);
  });

  test('a damaged or missing package is no base, and is offered to nobody again', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    const file = (await test.deps.blobs.localFile(first.body.data.checksum.value)) ?? '';
    writeFileSync(file, readFileSync(file).fill(0, 0, 60));
    expect((await changed(test, app.guid, { base: baseOf(first) })).status).toBe(422);
    expect(await test.deps.store.read.selectFrom('resources').selectAll().execute()).toEqual([]);
    rmSync(file);
    expect((await changed(test, app.guid, { base: baseOf(first) })).status).toBe(422);
  });

  test("another app's package is no base, though its developer is the same", async () => {
    await using test = await startTestApi();
    const own = await anAppWithWeb(test);
    const other = await anAppWithWeb(test, { space_guid: (await aSpace(test.deps.store)).guid });
    const foreign = await pushed(test, other.guid, { bits: APP });
    expect((await changed(test, own.guid, { base: baseOf(foreign) })).status).toBe(422);
  });

  test('changes that break a rule with what stays are refused: 400 with entry and rule, and FAILED', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const first = await pushed(test, app.guid, { bits: APP });
    const refused = await changed(test, app.guid, { base: baseOf(first), bits: [{ name: 'A.JS', content: 'x' }] });
    expect([refused.status, refused.body.errors[0].code]).toEqual([400, 160001]);
    expect(refused.body.errors[0].detail).toContain('upper and lower case');
    expect(left(test)).toEqual([]);
  });
});
