import { anApp } from '@cupola/store/fixtures';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openVariables } from '../../apps/environment.ts';
import { startTestApi, type TestApi } from '../../fixtures.ts';
import { sweepOnce } from '../../sweeper/sweeper.ts';

const HOUR_MS = 3_600_000;

describe('previews of an app', () => {
  let given: TestApi;
  let guid: string;
  beforeEach(async () => {
    given = await startTestApi();
    guid = (
      await given.api('POST', '/v3/apps', {
        token: given.admin,
        body: {
          name: 'shop',
          relationships: { space: { data: { guid: given.home.spaceGuid } } },
          environment_variables: { REGION: 'north', PASSWORD: 'canary' },
        },
      })
    ).body.guid;
  });
  afterEach(() => given[Symbol.asyncDispose]());

  const ask = (method: string, path: string, body?: unknown, token = given.admin) =>
    given.api(method, `/v3/apps/${path}`, { token, ...(body === undefined ? {} : { body }) });
  const set = (body: Record<string, unknown>) => ask('PATCH', `${guid}/git`, body);
  const put = (branch: string, token?: string) => ask('PUT', `${guid}/git_previews`, { branch }, token);
  const names = async () =>
    (
      await given.deps.store.read
        .selectFrom('git_previews')
        .innerJoin('apps', 'apps.guid', 'git_previews.app_guid')
        .select('apps.name')
        .execute()
    ).map(({ name }) => name);
  const routes = async () =>
    (await given.deps.store.read.selectFrom('routes').select('host').execute()).map(({ host }) => host);

  test('are off unless switched on', async () => {
    expect(await put('fix')).toMatchObject({
      status: 422,
      body: { errors: [{ detail: expect.stringMatching(/--previews on/) }] },
    });
    expect(await names()).toEqual([]);
  });

  test('are apps with a route of their own and the variables that are configured, made once, gone without a trace', async () => {
    await set({ previews: 'on', preview_variables: ['REGION', 'NONE'] });
    await given.deps.store.mutate(({ db }) =>
      db.updateTable('processes').set({ memory_mb: 96 }).where('app_guid', '=', guid).execute(),
    );
    const made = await put('fix');
    expect(made).toMatchObject({ status: 200, body: { name: 'shop-fix', source: 'fix', is_fork: false } });
    expect((await put('fix')).body.guid).toBe(made.body.guid);
    expect((await ask('GET', `${guid}/git_previews`)).body.resources).toEqual([made.body]);
    const app = await given.deps.store.read
      .selectFrom('apps')
      .selectAll()
      .where('guid', '=', made.body.guid)
      .executeTakeFirstOrThrow();
    expect(openVariables(given.deps.sealer, app.environment_sealed)).toEqual({ REGION: 'north' });
    expect((await ask('GET', `${app.guid}/processes/web`)).body.memory_in_mb).toBe(96);
    expect((await given.api('GET', '/v3/git_targets/cupola/dev/shop-fix', { token: given.admin })).body).toMatchObject({
      preview: { of: { guid, name: 'shop' }, is_fork: false },
      settings: { previews: 'off' },
    });
    expect(await routes()).toEqual(['shop-fix']);
    expect((await ask('DELETE', `${guid}/git_previews/${app.guid}`)).status).toBe(204);
    expect([await names(), await routes()]).toEqual([[], []]);
    expect((await ask('GET', app.guid)).status).toBe(404);
    expect((await ask('DELETE', `${guid}/git_previews/${app.guid}`)).status).toBe(404);
  });

  test('lose a variable that is given no more, and keep their own', async () => {
    await set({ previews: 'on', preview_variables: ['REGION', 'PASSWORD'] });
    const preview = (await put('fix')).body.guid;
    const variables = async () => (await ask('GET', `${preview}/environment_variables`)).body.var;
    await ask('PATCH', `${preview}/environment_variables`, { var: { OWN: 'x' } });
    expect(await variables()).toEqual({ REGION: 'north', PASSWORD: 'canary', OWN: 'x' });
    await set({ preview_variables: ['REGION'] });
    expect(await variables()).toEqual({ REGION: 'north', OWN: 'x' });
    await put('fix');
    expect(await variables()).toEqual({ REGION: 'north', OWN: 'x' });
  });

  test('take neither the name of an app that is there nor the route of another', async () => {
    await set({ previews: 'on' });
    const other = await anApp(given.deps.store, { space_guid: given.home.spaceGuid, name: 'Shop-Fix' });
    expect((await put('fix')).body.name).toMatch(/^shop-fix-[a-z0-9]{7}$/);
    expect((await ask('DELETE', `${guid}/git_previews/${other.guid}`)).status).toBe(404);
    await given.api('POST', '/v3/routes', {
      token: given.admin,
      body: {
        host: 'shop-live',
        relationships: {
          space: { data: { guid: given.home.spaceGuid } },
          domain: { data: { guid: given.home.domainGuid } },
        },
      },
    });
    expect((await put('live')).body.name).toMatch(/^shop-live-[a-z0-9]{7}$/);
  });

  test('have none themselves, and no other settings than those of their app', async () => {
    await set({ previews: 'on', submodules: 'skip' });
    const { body } = await put('fix');
    expect((await ask('PUT', `${body.guid}/git_previews`, { branch: 'x' })).status).toBe(422);
    expect((await ask('PATCH', `${body.guid}/git`, { previews: 'on' })).status).toBe(422);
    expect((await ask('GET', `${body.guid}/git`)).body).toMatchObject({ submodules: 'skip', previews: 'off' });
  });

  test('not of the branch that is deployed, nor more than twenty, nor for who may not push', async () => {
    await set({ previews: 'on', branch: 'main' });
    expect((await put('main')).status).toBe(422);
    const auditor = await given.userWith({ space_auditor: given.home.spaceGuid });
    expect((await put('fix', auditor.token)).status).toBe(403);
    for (let at = 0; at < 20; at++) expect((await put(`b${at}`)).status).toBe(200);
    expect((await put('more')).body.errors[0].detail).toMatch(/has 20 previews/);
    expect((await put('b3')).status).toBe(200);
  });

  test('end when their time has passed without a push, and with their app', async () => {
    await set({ previews: 'on', preview_hours: 1 });
    await put('old');
    await put('new');
    // A token of a test would not last.
    given.clock.pass(HOUR_MS);
    await given.deps.store.mutate(({ db, now }) =>
      db
        .updateTable('git_previews')
        .set({ expires_at: now + 1 })
        .where('source', '=', 'new')
        .execute(),
    );
    await sweepOnce(given.deps);
    expect(await names()).toEqual(['shop-new']);
    expect(await routes()).toEqual(['shop-new']);
    const lines = await given.deps.logs.read({ appGuid: guid, limit: 100, descending: false });
    expect(lines.map(({ line }) => line).join('\n')).toMatch(/git: shop-old has ended: nobody has pushed to it/);
    await given.deps.store.mutate(({ db }) => db.deleteFrom('apps').where('guid', '=', guid).execute());
    await sweepOnce(given.deps);
    expect(await given.deps.store.read.selectFrom('git_previews').selectAll().execute()).toEqual([]);
    expect(await routes()).toEqual([]);
  });
});
