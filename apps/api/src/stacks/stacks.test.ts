/** Stacks: the machine's own, those that a cell offers, those that an admin has named. */
import { stackAnswer } from '@cupola/contract/v3/platform';
import { describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { aRegistration, callInternal } from '../internal/fixtures.ts';

/** As a cell's registration makes it. */
async function offer(test: TestApi, name: string, description = 'Sample Linux 7'): Promise<void> {
  const stacks = [
    { name: 'host', digest: 'd', abiKey: 'a' },
    { name, digest: 'e', abiKey: 'b', description },
  ];
  const answer = await callInternal(test.socketPath, 'POST', '/internal/cells', aRegistration({ stacks }));
  expect(answer.status).toBe(200);
}

/** Spaces are written as plus signs, as Ruby's CGI.escape does. */
const warnings = ({ headers }: { headers: Headers }): string =>
  decodeURIComponent((headers.get('x-cf-warnings') ?? '').replaceAll('+', ' '));

describe('stacks', () => {
  test("the machine's own is there from the start, the default", async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    const { body } = await test.api('GET', '/v3/stacks?names=host&order_by=name', { token });
    expect(body.resources).toMatchObject([{ name: 'host', default: true, state: 'ACTIVE' }]);
    expect(stackAnswer.parse(body.resources[0])).toEqual(body.resources[0]);
    expect((await test.api('GET', `/v3/stacks/${body.resources[0].guid}`, { token })).body).toEqual(body.resources[0]);
    expect((await test.api('GET', '/v3/stacks?names=cflinuxfs4', { token })).body.resources).toEqual([]);
    expect((await test.api('GET', '/v3/stacks?default=false', { token })).body.resources).toEqual([]);
  });

  test('one that a cell offers is known, and told by what it calls itself', async () => {
    await using test = await startTestApi();
    await offer(test, 'cflinuxfs4');
    const list = async () => (await test.api('GET', '/v3/stacks?default=false', { token: test.admin })).body.resources;
    expect(await list()).toMatchObject([{ name: 'cflinuxfs4', description: 'Sample Linux 7', default: false }]);
    const [{ guid }] = await list();
    const body = { metadata: { labels: { kept: 'yes' } } };
    await test.api('PATCH', `/v3/stacks/${guid}`, { token: test.admin, body });
    await offer(test, 'cflinuxfs4', 'Sample Linux 8');
    expect(await list()).toMatchObject([
      { guid, description: 'Sample Linux 8', metadata: { labels: { kept: 'yes' } } },
    ]);
  });

  test('an app takes the stack that it names; the names of other platforms mean ours until one is added', async () => {
    await using test = await startTestApi();
    const { spaceGuid } = test.home;
    const { token } = await test.userWith({ space_developer: spaceGuid });
    const make = (name: string, stack: string) =>
      test.api('POST', '/v3/apps', {
        token,
        body: {
          name,
          relationships: { space: { data: { guid: spaceGuid } } },
          lifecycle: { type: 'buildpack', data: { stack } },
        },
      });
    const before = await make('one', 'cflinuxfs4');
    expect([before.body.lifecycle.data.stack, before.headers.get('x-cf-warnings')]).toEqual([
      'host',
      expect.stringContaining('cflinuxfs4'),
    ]);
    await offer(test, 'cflinuxfs4');
    const after = await make('two', 'cflinuxfs4');
    expect([after.body.lifecycle.data.stack, after.headers.get('x-cf-warnings')]).toEqual(['cflinuxfs4', null]);
    const none = await make('three', 'ubuntu');
    expect([none.status, none.body.errors[0].detail]).toEqual([422, expect.stringContaining('./cupola stack add')]);
  });

  test('an admin makes, labels and deletes them; one that is used, offered, or the machine itself stays', async () => {
    await using test = await startTestApi();
    const token = test.admin;
    const made = await test.api('POST', '/v3/stacks', { token, body: { name: 'mine', description: 'of ours' } });
    expect([made.status, made.body]).toEqual([201, expect.objectContaining({ name: 'mine', description: 'of ours' })]);
    expect(warnings(made)).toContain('--name mine');
    const again = await test.api('POST', '/v3/stacks', { token, body: { name: 'MINE' } });
    expect([again.status, again.body.errors[0].detail]).toEqual([422, 'Name must be unique']);
    const { spaceGuid } = test.home;
    const { token: developer } = await test.userWith({ space_developer: spaceGuid });
    expect((await test.api('POST', '/v3/stacks', { token: developer, body: { name: 'x' } })).status).toBe(403);
    const body = {
      name: 'app',
      relationships: { space: { data: { guid: spaceGuid } } },
      lifecycle: { type: 'buildpack', data: { stack: 'mine' } },
    };
    const app = await test.api('POST', '/v3/apps', { token: developer, body });
    const remove = (guid: string) => test.api('DELETE', `/v3/stacks/${guid}`, { token });
    expect((await remove(made.body.guid)).body.errors[0].detail).toBe(
      "Cannot delete stack 'mine' because apps are currently using the stack.",
    );
    const change = { lifecycle: { type: 'buildpack', data: { stack: 'host' } } };
    await test.api('PATCH', `/v3/apps/${app.body.guid}`, { token: developer, body: change });
    expect((await remove(made.body.guid)).status).toBe(204);
    await offer(test, 'offered');
    const offered = (await test.api('GET', '/v3/stacks?names=offered', { token })).body.resources[0];
    expect((await remove(offered.guid)).body.errors[0].detail).toContain('./cupola stack remove offered');
    const host = (await test.api('GET', '/v3/stacks?names=host', { token })).body.resources[0];
    expect((await remove(host.guid)).status).toBe(422);
    expect((await remove('x')).body.errors[0].detail).toBe('Stack not found');
  });

  test.each([
    ['DISABLED', 422, /is 'DISABLED' and cannot be used for staging. Soon gone/],
    ['RESTRICTED', 422, /is 'RESTRICTED'/],
    ['DEPRECATED', 201, /is 'DEPRECATED' and will be removed in the future. Soon gone/],
  ])('an app on a stack that is %s: %i', async (state, status, words) => {
    await using test = await startTestApi();
    await offer(test, 'old');
    const [{ guid }] = (await test.api('GET', '/v3/stacks?names=old', { token: test.admin })).body.resources;
    const set = { state, state_reason: 'Soon gone' };
    expect((await test.api('PATCH', `/v3/stacks/${guid}`, { token: test.admin, body: set })).body).toMatchObject(set);
    const { spaceGuid } = test.home;
    const { token } = await test.userWith({ space_developer: spaceGuid });
    const answer = await test.api('POST', '/v3/apps', {
      token,
      body: {
        name: 'app',
        relationships: { space: { data: { guid: spaceGuid } } },
        lifecycle: { type: 'buildpack', data: { stack: 'old' } },
      },
    });
    expect(answer.status).toBe(status);
    const said = status === 201 ? warnings(answer) : answer.body.errors[0].detail;
    expect(said).toMatch(words);
  });
});
