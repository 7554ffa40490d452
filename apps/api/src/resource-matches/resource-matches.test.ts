import { matchAnswer } from '@cupola/contract/v3/package';
import { aSpace } from '@cupola/store/fixtures';
import { describe, expect, test, vi } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { anAppWithWeb, offered, pushed } from '../packages/fixtures.ts';

const match = (test: TestApi, resources: unknown, token = test.admin) =>
  test.api('POST', '/v3/resource_matches', { token, body: { resources } });

describe('POST /v3/resource_matches', () => {
  test('answers what was pushed before, by checksum and size, whatever its path, as it was asked', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await pushed(test, app.guid, {
      bits: [
        { name: 'a.txt', content: 'A' },
        { name: 'b.txt', content: 'B' },
      ],
    });
    const asked = [
      offered('else/where', 'A', '755'),
      offered('c.txt', 'C'),
      { ...offered('b.txt', 'B'), size_in_bytes: 2 },
    ];
    const { status, body } = await match(test, asked);
    expect(status).toBe(201);
    expect(matchAnswer.parse(body)).toEqual(body);
    expect(body.resources).toEqual([asked[0]]);
  });

  test('answers every entry of a known checksum: the cf CLI leaves all of them out', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await pushed(test, app.guid, { bits: [{ name: 'a.txt', content: 'A' }] });
    const asked = [offered('one', 'A'), offered('two', 'A'), { checksum: offered('', 'A').checksum, size_in_bytes: 1 }];
    expect((await match(test, asked)).body.resources).toEqual(asked);
  });

  test('never answers empty files: they are always sent', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await pushed(test, app.guid, { bits: [{ name: 'empty', content: '' }] });
    expect((await match(test, [offered('empty', '')])).body.resources).toEqual([]);
  });

  test('takes checksums in capitals', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await pushed(test, app.guid, { bits: [{ name: 'a.txt', content: 'A' }] });
    const asked = offered('a.txt', 'A');
    const loud = { ...asked, checksum: { value: asked.checksum.value.toUpperCase() } };
    expect((await match(test, [loud])).body.resources).toEqual([loud]);
  });

  test('takes 5,000 files at once and no more', async () => {
    await using test = await startTestApi();
    const many = Array.from({ length: 5_001 }, (_, at) => offered(`f${at}`, `content ${at}`));
    expect((await match(test, many.slice(1))).status).toBe(201);
    const refused = await match(test, many);
    expect([refused.status, refused.body.errors[0].detail]).toEqual([
      422,
      'Array exceeds maximum size of 5000 resources: ask in several requests.',
    ]);
  });

  test.each<[detail: RegExp, resources: unknown]>([
    [/Resources must be an array/, 'a'],
    [/Resources must not be empty/, []],
    [/sha1/, [{ ...offered('a', 'A'), checksum: { value: 'abc' } }]],
    [/size_in_bytes/, [{ ...offered('a', 'A'), size_in_bytes: -1 }]],
    [/octal/, [{ ...offered('a', 'A'), mode: '888' }]],
  ])('refuses a body that breaks the form: %s', async (detail, resources) => {
    await using test = await startTestApi();
    const { status, body } = await match(test, resources);
    expect(status).toBe(422);
    expect(body.errors[0].detail).toMatch(detail);
  });
});

describe('matching stays within what one may push to', () => {
  /** A file of the home organization, and a developer of another one with an app there. */
  async function twoOrganizations(test: TestApi) {
    const own = await anAppWithWeb(test);
    await pushed(test, own.guid, { bits: [{ name: '.env', content: 'PASSWORD=1' }] });
    const foreign = await aSpace(test.deps.store);
    const stranger = await test.userWith({ space_developer: foreign.guid });
    const app = await anAppWithWeb(test, { space_guid: foreign.guid });
    return { stranger, app, foreign };
  }

  test('who asks from another organization does not learn that a file exists', async () => {
    await using test = await startTestApi();
    const { stranger } = await twoOrganizations(test);
    expect((await match(test, [offered('.env', 'PASSWORD=1')], stranger.token)).body.resources).toEqual([]);
  });

  test('who names it in an upload all the same gets what he would get for one that nobody has', async () => {
    await using test = await startTestApi();
    const { stranger, app } = await twoOrganizations(test);
    const sent = (content: string) =>
      pushed(test, app.guid, { token: stranger.token, resources: [offered('.env', content)] });
    const [real, invented] = [await sent('PASSWORD=1'), await sent('PASSWORD=2')];
    expect([real.status, real.body.errors[0].code]).toEqual([400, 160001]);
    expect(real.body).toEqual(invented.body);
  });

  test('roles that may not push do not match either', async () => {
    await using test = await startTestApi();
    await twoOrganizations(test);
    const auditor = await test.userWith({
      space_auditor: test.home.spaceGuid,
      space_manager: test.home.spaceGuid,
      organization_manager: test.home.organizationGuid,
    });
    expect((await match(test, [offered('.env', 'PASSWORD=1')], auditor.token)).body.resources).toEqual([]);
  });

  test('a developer of another space of the same organization does match, and so does an admin', async () => {
    await using test = await startTestApi();
    await twoOrganizations(test);
    const space = await aSpace(test.deps.store, { organization_guid: test.home.organizationGuid });
    const colleague = await test.userWith({ space_developer: space.guid });
    const asked = [offered('.env', 'PASSWORD=1')];
    expect((await match(test, asked, colleague.token)).body.resources).toEqual(asked);
    expect((await match(test, asked)).body.resources).toEqual(asked);
  });
});

test('the newest pack that has a file is where it is kept, so that older ones may go', async () => {
  await using test = await startTestApi();
  const app = await anAppWithWeb(test);
  const first = await pushed(test, app.guid, { bits: [{ name: 'a', content: 'A' }] });
  const second = await pushed(test, app.guid, {
    bits: [{ name: 'b', content: 'B' }],
    resources: [offered('a', 'A')],
  });
  const kept = () => test.deps.store.read.selectFrom('resources').select('blob_digest').distinct().execute();
  await vi.waitFor(
    async () => expect(await kept()).toEqual([{ blob_digest: second.body.data.checksum.value }]),
    30_000,
  );
  await test.deps.blobs.remove(first.body.data.checksum.value);
  const third = await pushed(test, app.guid, { resources: [offered('a', 'A'), offered('b', 'B')] });
  expect(third.body.state).toBe('READY');
});
