import { buildpackAnswer } from '@cupola/contract/v3/platform';
import { describe, expect, test } from 'vitest';
import { details, makeApp } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';
import { sweepBlobs } from '../sweeper/sweep-blobs.ts';
import { buildpacksForBuild, seedBuildpacks } from './ordered.ts';

const create = (test: TestApi, body: Record<string, unknown> = {}): Promise<TestAnswer> =>
  test.api('POST', '/v3/buildpacks', { token: test.admin, body: { name: 'mine', ...body } });
function upload(test: TestApi, guid: string, bytes: string): Promise<TestAnswer> {
  const form = new FormData();
  form.set('bits', new Blob([bytes]), 'mine-v1.zip');
  return test.api('POST', `/v3/buildpacks/${guid}/upload`, { token: test.admin, form });
}
async function names(test: TestApi): Promise<string[]> {
  const { resources } = (await test.api('GET', '/v3/buildpacks', { token: test.admin })).body;
  return resources.map(({ name }: Json) => name);
}
async function named(test: TestApi, name: string): Promise<Json> {
  return (await test.api('GET', `/v3/buildpacks?names=${name}`, { token: test.admin })).body.resources[0];
}

describe('buildpacks', () => {
  test('are those of the platform, in the order in which they look at an app', async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    const { body } = await test.api('GET', '/v3/buildpacks', { token });
    expect(body.resources.map(({ name, position }: { name: string; position: number }) => [position, name])).toEqual([
      [1, 'staticfile_buildpack'],
      [2, 'java_buildpack'],
      [3, 'ruby_buildpack'],
      [4, 'nodejs_buildpack'],
      [5, 'go_buildpack'],
      [6, 'python_buildpack'],
      [7, 'php_buildpack'],
      [8, 'binary_buildpack'],
    ]);
    expect(buildpackAnswer.parse(body.resources[0])).toEqual(body.resources[0]);
    const one = await test.api('GET', new URL(body.resources[0].links.self.href).pathname, { token });
    expect(one.body).toEqual(body.resources[0]);
  });

  test('are found by name and kind', async () => {
    await using test = await startTestApi();
    const count = async (query: string) =>
      (await test.api('GET', `/v3/buildpacks?${query}`, { token: test.admin })).body.pagination.total_results;
    expect(
      await Promise.all(['names=binary_buildpack,x', 'lifecycle=cnb', 'names=x', 'order_by=position'].map(count)),
    ).toEqual([1, 0, 0, 8]);
  });

  test('those of the platform can be moved, switched off and labelled, not renamed', async () => {
    await using test = await startTestApi();
    const binary = await named(test, 'binary_buildpack');
    const patch = (body: unknown) => test.api('PATCH', `/v3/buildpacks/${binary.guid}`, { token: test.admin, body });
    const moved = await patch({ position: 1, enabled: false, metadata: { labels: { a: 'b' } } });
    expect(moved.body).toMatchObject({ position: 1, enabled: false, metadata: { labels: { a: 'b' } } });
    expect((await names(test)).slice(0, 2)).toEqual(['binary_buildpack', 'staticfile_buildpack']);
    const renamed = await patch({ name: 'mine' });
    expect([renamed.status, details(renamed)[0]]).toEqual([422, expect.stringContaining('comes with the platform')]);
    const { detectOrder } = await buildpacksForBuild(test.deps.store.read, 'host');
    expect(detectOrder).not.toContain('binary_buildpack');
  });

  test('one of its own is added first, waits for its bits, and is handed to builds with them', async () => {
    await using test = await startTestApi();
    const made = await create(test);
    expect([made.status, made.body]).toMatchObject([
      201,
      { name: 'mine', position: 1, state: 'AWAITING_UPLOAD', enabled: true, locked: false, filename: null },
    ]);
    const store = test.deps.store.read;
    expect((await buildpacksForBuild(store, 'host')).detectOrder).not.toContain('mine');
    const sent = await upload(test, made.body.guid, 'PK\x03\x04...');
    expect([sent.status, sent.body]).toMatchObject([202, { state: 'READY', filename: 'mine-v1.zip' }]);
    const job = await test.api('GET', new URL(sent.headers.get('location') ?? '').pathname, { token: test.admin });
    expect(job.body.state).toBe('COMPLETE');
    const { detectOrder, customBuildpacks } = await buildpacksForBuild(store, 'host');
    expect(detectOrder[0]).toBe('mine');
    expect(customBuildpacks).toEqual([{ name: 'mine', digest: expect.stringMatching(/^[0-9a-f]{64}$/), sizeBytes: 7 }]);
    expect(await test.deps.blobs.stat(customBuildpacks[0]?.digest ?? '')).toMatchObject({ sizeBytes: 7 });
  });

  test('apps may name it once it is there', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const use = () =>
      test.api('PATCH', `/v3/apps/${app.guid}`, {
        token: test.admin,
        body: { lifecycle: { type: 'buildpack', data: { buildpacks: ['mine'] } } },
      });
    expect(details(await use())[0]).toMatch(/^Buildpack "mine" must be an existing admin buildpack/);
    await create(test);
    expect((await use()).status).toBe(200);
  });

  test.each([
    [{ name: 'no name' }, 'Name is invalid'],
    [{ position: 0 }, 'Position must be greater than or equal to 1'],
    [{ enabled: 'yes' }, 'Enabled must be a boolean'],
    [{ stack: 'windows' }, "Stack 'windows' does not exist"],
    [{ lifecycle: 'other' }, 'Lifecycle must be either "buildpack" or "cnb"'],
    [{ name: 'go_buildpack' }, "Buildpack with name 'go_buildpack' and an unassigned stack already exists"],
    [{ size: 1 }, "Unknown field(s): 'size'"],
  ])('%j is 422: %s', async (given, detail) => {
    await using test = await startTestApi();
    const answer = await create(test, given);
    expect([answer.status, details(answer)]).toEqual([422, [detail]]);
  });

  test('bits must be a zip, and none are taken by a locked one or one of the platform', async () => {
    await using test = await startTestApi();
    const { guid } = (await create(test)).body;
    expect(details(await upload(test, guid, 'no zip'))[0]).toContain('mine-v1.zip is not a zip file.');
    await test.api('PATCH', `/v3/buildpacks/${guid}`, { token: test.admin, body: { locked: true } });
    expect(details(await upload(test, guid, 'PK\x03\x04'))).toEqual(['Buildpack is locked']);
    const system = await named(test, 'go_buildpack');
    expect(details(await upload(test, system.guid, 'PK\x03\x04'))[0]).toContain('comes with the platform');
  });

  test('a deleted one leaves no gap, and one of the platform stays away after a start', async () => {
    await using test = await startTestApi();
    const system = await named(test, 'nodejs_buildpack');
    const gone = await test.api('DELETE', `/v3/buildpacks/${system.guid}`, { token: test.admin });
    expect(gone.status).toBe(202);
    await test.deps.store.mutate(mutation => seedBuildpacks(mutation));
    const { resources } = (await test.api('GET', '/v3/buildpacks', { token: test.admin })).body;
    expect(resources.map(({ position }: Json) => position)).toEqual(
      resources.map((_one: Json, index: number) => index + 1),
    );
    expect(await names(test)).not.toContain('nodejs_buildpack');
  });

  test('the sweeper keeps their bits', async () => {
    await using test = await startTestApi();
    const { guid } = (await create(test)).body;
    await upload(test, guid, 'PK\x03\x04');
    const later = { ...test.deps, now: () => Date.now() + 7_200_000 };
    expect(await sweepBlobs(later)).toBe(0);
    await test.api('DELETE', `/v3/buildpacks/${guid}`, { token: test.admin });
    expect(await sweepBlobs(later)).toBe(1);
  });

  test("are the admins' to change", async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    expect((await test.api('POST', '/v3/buildpacks', { token, body: { name: 'x' } })).status).toBe(403);
  });
});
