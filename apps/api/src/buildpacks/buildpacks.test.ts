import { buildpackAnswer, stackAnswer } from '@cupola/contract/v3/platform';
import { describe, expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';

describe('buildpacks', () => {
  test('are those of the platform, in the order in which they look at an app', async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    const { body } = await test.api('GET', '/v3/buildpacks', { token });
    expect(body.resources.map(({ name, position }: { name: string; position: number }) => [position, name])).toEqual([
      [1, 'staticfile_buildpack'],
      [2, 'nodejs_buildpack'],
      [3, 'go_buildpack'],
      [4, 'python_buildpack'],
      [5, 'binary_buildpack'],
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
    ).toEqual([1, 0, 0, 5]);
  });

  test("of one's own are refused with a sentence; labels are not", async () => {
    await using test = await startTestApi();
    const [first] = (await test.api('GET', '/v3/buildpacks', { token: test.admin })).body.resources;
    const path = `/v3/buildpacks/${first.guid}`;
    const refused = await Promise.all([
      test.api('POST', '/v3/buildpacks', { token: test.admin, body: { name: 'mine' } }),
      test.api('PATCH', path, { token: test.admin, body: { position: 2 } }),
      test.api('DELETE', path, { token: test.admin }),
      test.api('POST', `${path}/upload`, { token: test.admin, form: new FormData() }),
    ]);
    expect(refused.map(({ status }) => status)).toEqual([422, 422, 422, 422]);
    expect(refused[0]?.body.errors[0].detail).toContain('Buildpacks of your own are not supported yet.');
    const labelled = await test.api('PATCH', path, { token: test.admin, body: { metadata: { labels: { a: 'b' } } } });
    expect(labelled.body.metadata.labels).toEqual({ a: 'b' });
  });

  test("are the admins' to change", async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    expect((await test.api('POST', '/v3/buildpacks', { token, body: {} })).status).toBe(403);
  });
});

describe('stacks', () => {
  test('there is one, the default', async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    const { body } = await test.api('GET', '/v3/stacks?names=host&order_by=name', { token });
    expect(body.resources).toMatchObject([{ name: 'host', default: true, state: 'ACTIVE' }]);
    expect(stackAnswer.parse(body.resources[0])).toEqual(body.resources[0]);
    expect((await test.api('GET', `/v3/stacks/${body.resources[0].guid}`, { token })).body).toEqual(body.resources[0]);
    expect((await test.api('GET', '/v3/stacks?names=cflinuxfs4', { token })).body.resources).toEqual([]);
    expect((await test.api('GET', '/v3/stacks?default=false', { token })).body.resources).toEqual([]);
  });

  test('can be labelled, not made or deleted', async () => {
    await using test = await startTestApi();
    const token = test.admin;
    const { guid } = (await test.api('GET', '/v3/stacks', { token })).body.resources[0];
    const body = { metadata: { annotations: { note: 'ours' } } };
    expect((await test.api('PATCH', `/v3/stacks/${guid}`, { token, body })).body.metadata.annotations).toEqual({
      note: 'ours',
    });
    expect((await test.api('PATCH', `/v3/stacks/${guid}`, { token, body: { state: 'DISABLED' } })).status).toBe(422);
    expect((await test.api('POST', '/v3/stacks', { token, body: { name: 'x' } })).status).toBe(422);
    expect((await test.api('DELETE', `/v3/stacks/${guid}`, { token })).status).toBe(422);
    expect((await test.api('DELETE', '/v3/stacks/x', { token })).body.errors[0].detail).toBe('Stack not found');
  });
});
