/**
 * First start: user `admin`, organization `cupola`, space `dev`, the shared domain, the usual security groups, all in one transaction, so that a start killed at any moment can begin
 * again. Later starts add only what settings ask for: another domain, a new password.
 */
import { randomUUID } from 'node:crypto';
import type { Database } from '@cupola/store/schema';
import type { Mutation, Store } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { seedBuildpacks } from './buildpacks/ordered.ts';
import { SHARED_SEGMENT } from './isolation-segments/find-segment.ts';
import { seedSecurityGroups } from './security-groups/seed-groups.ts';
import { seedStack } from './stacks/know-stacks.ts';
import { type HashCost, hashPassword, isPassword } from './uaa/passwords.ts';
import { revokeRefreshTokens } from './uaa/refresh-tokens.ts';

export interface Bootstrap {
  appsDomain: string;
  /** Counts at the first start, and whenever `reset` says so. */
  admin: { password: string; reset: boolean };
  /** scrypt's; tests take a cheaper one. */
  hashCost?: HashCost;
}

const DONE = 'admin_created';
const INTERNAL_DONE = 'internal_domain_made';
const ADMIN = 'admin';

export async function bootstrap(store: Store, { appsDomain, admin, hashCost }: Bootstrap): Promise<void> {
  // Hashing takes its time on purpose: a start that changes no password skips it.
  // The flag may stand in a unit file: with the password that he has, each start would end all logins.
  const reset = admin.reset && !(await isAdminsPassword(store.read, admin.password));
  const hash = reset || (await isFirstStart(store.read)) ? await hashPassword(admin.password, hashCost) : null;
  await store.mutate(async mutation => {
    await addDomain(mutation, appsDomain);
    await addInternalDomain(mutation);
    await addClient(mutation);
    await addSharedSegment(mutation);
    await seedBuildpacks(mutation);
    await seedSecurityGroups(mutation);
    await seedStack(mutation);
    // Asked again: another process may have been faster.
    const isFirst = await isFirstStart(mutation.db);
    if (hash === null || !(isFirst || reset)) return;
    const userGuid = await setAdmin(mutation, hash);
    if (isFirst) await addHome(mutation, userGuid);
  });
}

async function isAdminsPassword(db: Kysely<Database>, password: string): Promise<boolean> {
  const present = await db
    .selectFrom('users')
    .select(['password_hash', 'is_admin'])
    .where('username', '=', ADMIN)
    .where('origin', '=', 'uaa')
    .executeTakeFirst();
  return present?.is_admin === 1 && (await isPassword(password, present.password_hash));
}

async function isFirstStart(db: Kysely<Database>): Promise<boolean> {
  const done = await db.selectFrom('settings').select('value').where('key', '=', DONE).executeTakeFirst();
  return done === undefined;
}

/** The domain of routes that name none. `cupola up --domain` may change it. */
async function addDomain(
  { db, now, changed }: Mutation,
  name: string,
  { internal }: { internal: 0 | 1 } = { internal: 0 },
): Promise<void> {
  const present = await db
    .selectFrom('domains')
    .select('guid')
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst();
  if (present !== undefined) return;
  const guid = randomUUID();
  // Lists are in the order of their making, and clients take the first domain: routes of most apps are not internal.
  const created_at = now + internal;
  await db
    .insertInto('domains')
    .values({ guid, created_at, updated_at: created_at, name, internal, organization_guid: null })
    .execute();
  changed('domain', guid);
}

/** Names of instances for other apps (CF: cf-deployment's internal domain). Made once: an admin may have deleted it. */
async function addInternalDomain(mutation: Mutation): Promise<void> {
  const { db, now } = mutation;
  const done = await db.selectFrom('settings').select('value').where('key', '=', INTERNAL_DONE).executeTakeFirst();
  if (done !== undefined) return;
  await addDomain(mutation, 'apps.internal', { internal: 1 });
  await db
    .insertInto('settings')
    .values({ key: INTERNAL_DONE, value: String(now) })
    .execute();
}

async function addSharedSegment({ db, now }: Mutation): Promise<void> {
  await db
    .insertInto('isolation_segments')
    .values({ ...SHARED_SEGMENT, created_at: now, updated_at: now })
    .onConflict(conflict => conflict.column('guid').doNothing())
    .execute();
}

/** The client of every cf CLI: public, with an empty secret. */
async function addClient({ db, now }: Mutation): Promise<void> {
  await db
    .insertInto('oauth_clients')
    .values({
      client_id: 'cf',
      secret_hash: null,
      grant_types: 'password,refresh_token',
      authorities: 'uaa.none',
      created_at: now,
    })
    .onConflict(conflict => conflict.column('client_id').doNothing())
    .execute();
}

/** Makes the admin, or gives an existing one this password: whoever held a login of the old one is out. */
async function setAdmin({ db, now, changed }: Mutation, hash: string): Promise<string> {
  const present = await db
    .selectFrom('users')
    .select('guid')
    .where('username', '=', ADMIN)
    .where('origin', '=', 'uaa')
    .executeTakeFirst();
  const guid = present?.guid ?? randomUUID();
  if (present === undefined)
    await db
      .insertInto('users')
      .values({
        guid,
        created_at: now,
        updated_at: now,
        username: ADMIN,
        origin: 'uaa',
        password_hash: hash,
        is_admin: 1,
        given_name: null,
        family_name: null,
        email: null,
        listed: 1,
      })
      .execute();
  else {
    await db
      .updateTable('users')
      .set({ password_hash: hash, is_admin: 1, updated_at: now })
      .where('guid', '=', guid)
      .execute();
    await revokeRefreshTokens({ db }, guid);
  }
  changed('user', guid);
  return guid;
}

/** Where `cupola up DIR` pushes to. */
async function addHome({ db, now, changed }: Mutation, userGuid: string): Promise<void> {
  const stamped = (): { guid: string; created_at: number; updated_at: number } => ({
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
  });
  const quota = { ...stamped(), ...UNLIMITED, name: 'default' };
  await db.insertInto('organization_quotas').values(quota).execute();
  const organization = { ...stamped(), name: 'cupola', suspended: 0 as const, quota_guid: quota.guid };
  await db.insertInto('organizations').values(organization).execute();
  changed('organization', organization.guid, { organizationGuid: organization.guid });
  const space = { ...stamped(), name: 'dev', organization_guid: organization.guid, allow_ssh: 1 as const };
  await db.insertInto('spaces').values(space).execute();
  changed('space', space.guid, { organizationGuid: organization.guid, spaceGuid: space.guid });
  for (const type of ['organization_user', 'organization_manager', 'space_manager', 'space_developer'] as const) {
    const isOfSpace = type.startsWith('space_');
    const role = {
      ...stamped(),
      type,
      user_guid: userGuid,
      organization_guid: isOfSpace ? null : organization.guid,
      space_guid: isOfSpace ? space.guid : null,
    };
    await db.insertInto('roles').values(role).execute();
    changed('role', role.guid, { organizationGuid: organization.guid });
  }
  await db
    .insertInto('settings')
    .values([
      { key: DONE, value: String(now) },
      { key: 'installation_guid', value: randomUUID() },
    ])
    .execute();
}

/** The machine is the limit, not a number of ours; but routes, which cost nothing to make, are bounded as in CF (1,000). */
const UNLIMITED = {
  total_memory_mb: null,
  per_process_memory_mb: null,
  total_instances: null,
  log_rate_limit_bytes: null,
  total_services: null,
  paid_services_allowed: 1,
  total_routes: 1_000,
  total_reserved_ports: null,
  total_domains: null,
  per_app_tasks: null,
  total_service_keys: null,
} as const;
