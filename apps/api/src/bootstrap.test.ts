import type { Store } from '@cupola/store/store';
import { openTestStore } from '@cupola/store/test-store';
import { describe, expect, test } from 'vitest';
import { bootstrap } from './bootstrap.ts';
import { isPassword } from './uaa/passwords.ts';

const first = { appsDomain: 'localhost', admin: { password: 'one', reset: false }, hashCost: { N: 2, r: 1, p: 1 } };

async function everything({ read }: Store): Promise<Record<string, unknown[]>> {
  return {
    users: await read.selectFrom('users').select(['username', 'is_admin']).execute(),
    organizations: await read.selectFrom('organizations').select('name').execute(),
    spaces: await read.selectFrom('spaces').select('name').execute(),
    domains: await read.selectFrom('domains').select('name').orderBy('created_at').orderBy('name').execute(),
    quotas: await read.selectFrom('organization_quotas').select('name').execute(),
    groups: await read.selectFrom('security_groups').select('name').orderBy('name').execute(),
    clients: await read.selectFrom('oauth_clients').select('client_id').execute(),
    roles: await read.selectFrom('roles').select('type').orderBy('type').execute(),
  };
}
const HOME = {
  users: [{ username: 'admin', is_admin: 1 }],
  organizations: [{ name: 'cupola' }],
  spaces: [{ name: 'dev' }],
  domains: [{ name: 'localhost' }, { name: 'apps.internal' }],
  quotas: [{ name: 'default' }],
  groups: [{ name: 'dns' }, { name: 'public_networks' }],
  clients: [{ client_id: 'cf' }],
  roles: ['organization_manager', 'organization_user', 'space_developer', 'space_manager'].map(type => ({ type })),
};

async function adminHash({ read }: Store): Promise<string | null> {
  return (await read.selectFrom('users').select('password_hash').executeTakeFirstOrThrow()).password_hash;
}

describe('bootstrap()', () => {
  test('makes the admin and a home; again it makes nothing', async () => {
    await using opened = await openTestStore();
    await bootstrap(opened.store, first);
    expect(await everything(opened.store)).toEqual(HOME);
    await bootstrap(opened.store, first);
    expect(await everything(opened.store)).toEqual(HOME);
  });

  test('undone at its end, as by a kill, it has left nothing and can begin again', async () => {
    await using opened = await openTestStore();
    const { store } = opened;
    const killed: Store = {
      ...store,
      mutate: work =>
        store.mutate(async mutation => {
          await work(mutation);
          throw new Error('killed before the commit');
        }),
    };
    await expect(bootstrap(killed, first)).rejects.toThrow('killed');
    expect(await everything(store)).toEqual(Object.fromEntries(Object.keys(HOME).map(table => [table, []])));
    await bootstrap(store, first);
    expect(await everything(store)).toEqual(HOME);
  });

  test('two at once make one', async () => {
    await using opened = await openTestStore();
    await Promise.all([bootstrap(opened.store, first), bootstrap(opened.store, first)]);
    expect(await everything(opened.store)).toEqual(HOME);
  });

  test("later passwords count only when they are to reset the admin's", async () => {
    await using opened = await openTestStore();
    const { store } = opened;
    await bootstrap(store, first);
    await bootstrap(store, { ...first, admin: { password: 'two', reset: false } });
    expect(await isPassword('one', await adminHash(store))).toBe(true);
    await bootstrap(store, { ...first, admin: { password: 'three', reset: true } });
    expect(await isPassword('one', await adminHash(store))).toBe(false);
    expect(await isPassword('three', await adminHash(store))).toBe(true);
    // The password that he has resets nothing: logins go on.
    const before = await adminHash(store);
    await bootstrap(store, { ...first, admin: { password: 'three', reset: true } });
    expect(await adminHash(store)).toBe(before);
  });

  test('a new password makes an admin again who was deleted', async () => {
    await using opened = await openTestStore();
    await bootstrap(opened.store, first);
    await opened.store.mutate(({ db }) => db.deleteFrom('users').execute());
    await bootstrap(opened.store, { ...first, admin: { password: 'two', reset: true } });
    expect((await everything(opened.store)).users).toEqual(HOME.users);
  });

  test('another domain is added, what was deleted on purpose is not', async () => {
    await using opened = await openTestStore();
    const { store } = opened;
    await bootstrap(store, first);
    await store.mutate(({ db }) => db.deleteFrom('spaces').execute());
    await store.mutate(({ db }) => db.deleteFrom('security_groups').execute());
    await store.mutate(({ db }) => db.deleteFrom('domains').where('internal', '=', 1).execute());
    await bootstrap(store, { ...first, appsDomain: 'apps.example' });
    const { domains, spaces, groups } = await everything(store);
    expect([domains, spaces, groups]).toEqual([[{ name: 'localhost' }, { name: 'apps.example' }], [], []]);
  });

  test('a store of before there were security groups gets them, but for names that are taken', async () => {
    await using opened = await openTestStore();
    const { store } = opened;
    await bootstrap(store, first);
    await store.mutate(async ({ db }) => {
      await db.deleteFrom('settings').where('key', '=', 'security_groups_made').execute();
      await db.deleteFrom('security_groups').where('name', '=', 'dns').execute();
      await db.updateTable('security_groups').set({ rules_json: '[]', running_default: 0 }).execute();
    });
    await bootstrap(store, first);
    const groups = await store.read
      .selectFrom('security_groups')
      .select(['name', 'running_default', 'staging_default'])
      .orderBy('name')
      .execute();
    expect(groups).toEqual([
      { name: 'dns', running_default: 1, staging_default: 1 },
      { name: 'public_networks', running_default: 0, staging_default: 1 },
    ]);
  });
});
