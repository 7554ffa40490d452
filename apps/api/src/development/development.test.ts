import { aDroplet } from '@cupola/store/fixtures';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { details, placeCopy } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';
import { openWatch } from '../internal/fixtures.ts';
import { sweepOnce } from '../sweeper/sweeper.ts';

async function aChange(files: Record<string, string> = { 'server.js': 'new' }): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: 'removed' }, 'old.js\n');
  tar.entry({ name: 'restart' }, '');
  tar.entry({ name: 'files', type: 'directory' });
  for (const [path, text] of Object.entries(files)) tar.entry({ name: `files/${path}` }, text);
  tar.finalize();
  return Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Buffer>));
}

describe('development apps', () => {
  let given: TestApi;
  beforeEach(async () => {
    given = await startTestApi();
  });
  afterEach(() => given[Symbol.asyncDispose]());

  const make = (name = 'shop-dev', token = given.admin, more: Record<string, unknown> = {}): Promise<TestAnswer> =>
    given.api('POST', '/v3/development_apps', {
      token,
      body: { name, relationships: { space: { data: { guid: given.home.spaceGuid } } }, ...more },
    });
  const look = async (guid: string, query = ''): Promise<Json> =>
    (await given.api('GET', `/v3/apps/${guid}/development${query}`, { token: given.admin })).body;
  /** With a droplet, as if it had been pushed. */
  const staged = async (): Promise<{ guid: string; droplet: string }> => {
    const { guid } = (await make()).body;
    return { guid, droplet: await build(guid) };
  };
  const build = async (guid: string): Promise<string> => {
    const droplet = await aDroplet(given.deps.store, { app_guid: guid, process_types_json: '{"web":"node server"}' });
    const path = `/v3/apps/${guid}/relationships/current_droplet`;
    await given.api('PATCH', path, { token: given.admin, body: { data: { guid: droplet.guid } } });
    await given.api('POST', `/v3/apps/${guid}/actions/restart`, { token: given.admin });
    return droplet.guid;
  };
  const change = async (
    { guid, droplet }: { guid: string; droplet: string },
    { bytes, token = given.admin }: { bytes?: Buffer; token?: string } = {},
  ): Promise<{ status: number; body: Json }> => {
    const path = `/v3/apps/${guid}/development/changes?droplet_guid=${droplet}`;
    const answer = await fetch(`${given.url}${path}`, {
      method: 'POST',
      headers: { authorization: `bearer ${token}`, 'content-type': 'application/x-tar' },
      body: new Uint8Array(bytes ?? (await aChange())),
    });
    return { status: answer.status, body: await answer.json() };
  };
  const blobs = () => Array.fromAsync(given.deps.blobs.list());

  test('are apps with a route of their own, made once, and gone without a trace', async () => {
    const made = await make();
    expect(made).toMatchObject({ status: 200, body: { name: 'shop-dev', user: 'admin', sequence: 0, instances: [] } });
    expect((await make()).body.guid).toBe(made.body.guid);
    const routes = async () => (await given.deps.store.read.selectFrom('routes').select('host').execute()).length;
    expect(await routes()).toBe(1);
    const path = `/v3/apps/${made.body.guid}/development`;
    expect((await given.api('DELETE', path, { token: given.admin })).status).toBe(204);
    expect(await routes()).toBe(0);
    expect((await given.api('GET', path, { token: given.admin })).status).toBe(404);
    expect((await given.api('DELETE', path, { token: given.admin })).status).toBe(404);
  });

  test('are never what another app is: one that is there is not taken, and takes no change', async () => {
    const body = { name: 'shop', relationships: { space: { data: { guid: given.home.spaceGuid } } } };
    const { guid } = (await given.api('POST', '/v3/apps', { token: given.admin, body })).body;
    expect(details(await make('Shop'))).toEqual([expect.stringContaining('no development app')]);
    const droplet = await build(guid);
    expect(await change({ guid, droplet })).toMatchObject({ status: 404 });
    expect(await blobs()).toEqual([]);
  });

  test("are one person's: another developer neither takes nor changes them", async () => {
    const app = await staged();
    const other = await given.userWith({ space_developer: given.home.spaceGuid });
    expect(details(await make('shop-dev', other.token))).toEqual([expect.stringContaining('development app of admin')]);
    expect(await change(app, { token: other.token })).toMatchObject({ status: 403 });
  });

  test('have an address of their own: one that leads to another app is not shared', async () => {
    const yaml = 'applications:\n- name: shop\n  routes: [{ route: shop-dev.localhost }]\n';
    const path = `/v3/spaces/${given.home.spaceGuid}/actions/apply_manifest`;
    await given.api('POST', path, { token: given.admin, yaml });
    expect(details(await make())).toEqual([expect.stringContaining('leads to another app')]);
    expect((await make('shop-ann')).status).toBe(200);
  });

  test('take changes in order, which their instances run with', async () => {
    const app = await staged();
    const copy = await placeCopy(given, app.guid);
    expect(await change(app)).toEqual({
      status: 201,
      body: { sequence: 1, droplet_guid: app.droplet, files: 1, removed: 1, restart: true },
    });
    expect((await change(app)).body.sequence).toBe(2);
    expect(await look(app.guid)).toMatchObject({ droplet_guid: app.droplet, sequence: 2 });
    using watch = await openWatch(given.socketPath, `/internal/cells/${copy.cell_id}/watch`);
    const [item] = [...watch.items.values()] as Json[];
    expect(item.runSpec.development).toBe(true);
    expect(item.changes.map(({ sequence }: Json) => sequence)).toEqual([1, 2]);
    expect((await blobs()).map(({ digest }) => digest)).toContain(item.changes[0].digest);
    await change(app);
    expect(await watch.next()).toMatchObject({ type: 'upsert', item: { changes: [{}, {}, { sequence: 3 }] } });
  });

  test('refuse a change that is none, or for what is not there any more, and keep nothing of it', async () => {
    const app = await staged();
    expect(await change(app, { bytes: Buffer.from('no tar at all') })).toMatchObject({ status: 400 });
    await build(app.guid);
    expect(await change(app)).toMatchObject({
      status: 422,
      body: { errors: [{ detail: expect.stringContaining('Push it anew') }] },
    });
    expect(await blobs()).toEqual([]);
    expect(await look(app.guid)).toMatchObject({ sequence: 0 });
  });

  test('say which change their instances have taken, and who waits for one is held until then', async () => {
    const app = await staged();
    const { guid } = await placeCopy(given, app.guid);
    await change(app);
    const path = `/v3/apps/${app.guid}/development?sequence=1`;
    const held = given.api('GET', path, { token: given.admin, headers: { prefer: 'wait=60' } });
    await given.deps.store.mutate(async ({ db, changed }) => {
      await db.updateTable('copies').set({ state: 'RUNNING', applied_change: 1 }).where('guid', '=', guid).execute();
      changed('copy', guid);
    });
    expect((await held).body.instances).toEqual([{ process_type: 'web', index: 0, state: 'RUNNING', applied: 1 }]);
  });

  test('live on with each change, and end when nobody changes them for their time', async () => {
    const app = await staged();
    const endsIn = (ms: number) =>
      given.deps.store.mutate(({ db, now }) =>
        db
          .updateTable('development_apps')
          .set({ expires_at: now + ms })
          .execute(),
      );
    await endsIn(1);
    await change(app);
    given.clock.pass(2);
    await sweepOnce(given.deps);
    expect(await look(app.guid)).toMatchObject({ name: 'shop-dev' });
    await endsIn(0);
    await sweepOnce(given.deps);
    const left = await given.deps.store.read.selectFrom('development_changes').selectAll().execute();
    expect([(await look(app.guid)).errors[0].code, left]).toEqual([10_010, []]);
  });
});
