/** create-org, delete-org, delete-space, create-user, delete-user, users, set-role, unset-role, passwd: who may work where. */
import { CfApiError } from '@cupola/client/errors';
import { readClaims } from '@cupola/client/login';
import { readCreatedUser, readOrganization, readRole, readSpace, readUser } from '@cupola/contract/v3/client-reads';
import { ROLE_TYPES, type RoleType } from '@cupola/model/states';
import { usageError, WordedError } from '@cupola/push/failures';
import { didYouMean } from '@cupola/push/near';
import type { CliContext } from '../context.ts';
import { findOrganization, findSpace, findUser } from '../find.ts';
import { confirm, readStdin, secret } from '../prompt.ts';

export async function createOrg(context: CliContext, name: string): Promise<void> {
  const client = context.client();
  const made = await client.read(readOrganization, { method: 'POST', path: '/v3/organizations', json: { name } });
  const { user_id } = readClaims(context.config.read().tokens?.access ?? '');
  // As cf: whoever makes an organization manages it.
  for (const type of typeof user_id !== 'string' ? [] : ['organization_user', 'organization_manager'])
    await client.act({
      method: 'POST',
      path: '/v3/roles',
      json: {
        type,
        relationships: { organization: { data: { guid: made.guid } }, user: { data: { guid: user_id } } },
      },
    });
  context.result({ organization: made }, `Made organization ${name}. Go there: cupola target -o ${name}`);
}

interface Force {
  force?: boolean;
}

export async function deleteOrg(context: CliContext, name: string, { force }: Force): Promise<void> {
  const client = context.client();
  const found = await client.first(readOrganization, '/v3/organizations', { names: name });
  if (found === null) return context.result({ name, deleted: false }, `Organization ${name} does not exist.`);
  const what = `Deleting organization ${name} with all its spaces and apps`;
  if (!(await confirm(context, { force, what, command: `cupola delete-org ${name} -f` })))
    return context.result({ name, deleted: false }, `${name} was left as it is.`);
  await client.act({ method: 'DELETE', path: `/v3/organizations/${found.guid}` });
  if (context.config.read().organization?.guid === found.guid)
    await context.config.change(config => ({ ...config, organization: null, space: null }));
  context.result({ name, deleted: true }, `Organization ${name} is deleted.`);
}

export async function deleteSpace(
  context: CliContext,
  name: string,
  { force, organization }: Force & { organization?: string },
): Promise<void> {
  const client = context.client();
  const within = await findOrganization(context, organization);
  const found = await client.first(readSpace, '/v3/spaces', { names: name, organization_guids: within.guid });
  if (found === null) return context.result({ name, deleted: false }, `Space ${name} does not exist.`);
  const what = `Deleting space ${name} with all its apps`;
  if (!(await confirm(context, { force, what, command: `cupola delete-space ${name} -f` })))
    return context.result({ name, deleted: false }, `${name} was left as it is.`);
  await client.act({ method: 'DELETE', path: `/v3/spaces/${found.guid}` });
  if (context.config.read().space?.guid === found.guid)
    await context.config.change(config => ({ ...config, space: null }));
  context.result({ name, deleted: true }, `Space ${name} is deleted.`);
}

interface PasswordFlags {
  passwordStdin?: boolean;
}

async function newPassword(context: CliContext, given: string | undefined, flags: PasswordFlags): Promise<string> {
  if (given !== undefined) return given;
  if (flags.passwordStdin) return readStdin();
  if (context.environment.CUPOLA_NEW_PASSWORD) return context.environment.CUPOLA_NEW_PASSWORD;
  if (!context.isTerminal)
    throw usageError(
      'There is no terminal to ask for a password.',
      'Give it with CUPOLA_NEW_PASSWORD or --password-stdin.',
    );
  const first = await secret('New password: ');
  if (first !== (await secret('Again: '))) throw usageError('The two were not the same.', 'Try again.');
  return first;
}

/** The account in the login server, then its entry in the API, as cf does. */
export async function createUser(
  context: CliContext,
  name: string,
  { password, ...flags }: PasswordFlags & { password?: string | undefined },
): Promise<void> {
  const client = context.client();
  const chosen = await newPassword(context, password, flags);
  const { id } = await client.read(readCreatedUser, {
    method: 'POST',
    path: `${client.endpoints.uaa}/Users`,
    json: {
      userName: name,
      password: chosen,
      origin: 'uaa',
      name: { familyName: name, givenName: name },
      emails: [{ value: name, primary: true }],
    },
  });
  await client.act({ method: 'POST', path: '/v3/users', json: { guid: id } }).catch((error: unknown) => {
    // Login servers that tell the API themselves have made it already.
    if (!(error instanceof CfApiError) || !/already|exists|taken|unique/i.test(error.message)) throw error;
  });
  context.result({ guid: id, username: name }, `Made user ${name}. Next: cupola set-role ${name} SpaceDeveloper`);
}

export async function deleteUser(context: CliContext, name: string, { force }: Force): Promise<void> {
  const client = context.client();
  const found = await client.first(readUser, '/v3/users', { usernames: name });
  if (found === null) return context.result({ name, deleted: false }, `User ${name} does not exist.`);
  const what = `Deleting user ${name}`;
  if (!(await confirm(context, { force, what, command: `cupola delete-user ${name} -f` })))
    return context.result({ name, deleted: false }, `${name} was left as it is.`);
  await client.act({ method: 'DELETE', path: `/v3/users/${found.guid}` });
  await client
    .act({ method: 'DELETE', path: `${client.endpoints.uaa}/Users/${found.guid}` })
    .catch((error: unknown) => {
      if (!(error instanceof CfApiError) || error.status !== NOT_FOUND) throw error;
    });
  context.result({ name, deleted: true }, `User ${name} is deleted.`);
}

const NOT_FOUND = 404;

export async function users(context: CliContext): Promise<void> {
  const all = await context.client().all(readUser, '/v3/users');
  context.result(
    { users: all },
    context.table([
      ['name', 'guid', 'origin'],
      ...all.map(({ username, guid, origin }) => [username ?? '-', guid, origin ?? '-']),
    ]),
  );
}

/** cf's names of roles beside the API's own. */
const CF_ROLES: Readonly<Record<string, RoleType>> = {
  orguser: 'organization_user',
  orgmanager: 'organization_manager',
  billingmanager: 'organization_billing_manager',
  orgauditor: 'organization_auditor',
  spacemanager: 'space_manager',
  spacedeveloper: 'space_developer',
  spaceauditor: 'space_auditor',
  spacesupporter: 'space_supporter',
};
const ROLE_NAMES = [
  'OrgUser',
  'OrgManager',
  'BillingManager',
  'OrgAuditor',
  'SpaceManager',
  'SpaceDeveloper',
  'SpaceAuditor',
  'SpaceSupporter',
];

function roleType(text: string): RoleType {
  const type = CF_ROLES[text.toLowerCase()] ?? ROLE_TYPES.find(one => one === text.toLowerCase());
  if (type !== undefined) return type;
  throw usageError(`There is no role ${text}.`, didYouMean(text, ROLE_NAMES) ?? `There are: ${ROLE_NAMES.join(', ')}.`);
}

export interface RoleFlags {
  organization?: string;
  space?: string;
}

export async function setRole(context: CliContext, user: string, role: string, flags: RoleFlags): Promise<void> {
  const type = roleType(role);
  const { guid } = await findUser(context, user);
  const { relationships, where } = await roleTarget(context, type, flags);
  const client = context.client();
  const give = async (one: RoleType, target: Record<string, unknown>): Promise<void> =>
    client
      .act({
        method: 'POST',
        path: '/v3/roles',
        json: { type: one, relationships: { ...target, user: { data: { guid } } } },
      })
      .catch((error: unknown) => {
        if (!(error instanceof CfApiError) || !/already has/i.test(error.message)) throw error;
      });
  // A role in a space wants one in its organization, as cf gives it.
  if (type.startsWith('space_')) {
    const organization = await findOrganization(context, flags.organization);
    await give('organization_user', { organization: { data: { guid: organization.guid } } });
  }
  await give(type, relationships);
  context.result({ user, role: type, given: true }, `${user} is ${type} in ${where}.`);
}

async function roleTarget(context: CliContext, type: RoleType, flags: RoleFlags) {
  if (type.startsWith('organization_')) {
    const { guid, name } = await findOrganization(context, flags.organization);
    return { relationships: { organization: { data: { guid } } }, guid, where: name };
  }
  const { guid, name } = await findSpace(context, { organization: flags.organization, name: flags.space });
  return { relationships: { space: { data: { guid } } }, guid, where: name };
}

export async function unsetRole(context: CliContext, user: string, role: string, flags: RoleFlags): Promise<void> {
  const type = roleType(role);
  const { guid } = await findUser(context, user);
  const target = await roleTarget(context, type, flags);
  const client = context.client();
  const scope = type.startsWith('space_') ? 'space_guids' : 'organization_guids';
  const found = await client.all(readRole, '/v3/roles', { types: type, user_guids: guid, [scope]: target.guid });
  for (const one of found) await client.act({ method: 'DELETE', path: `/v3/roles/${one.guid}` });
  context.result(
    { user, role: type, taken: found.length },
    found.length === 0
      ? `${user} was not ${type} in ${target.where}.`
      : `${user} is ${type} in ${target.where} no more.`,
  );
}

/** One's own password, at the login server. */
export async function passwd(context: CliContext, flags: PasswordFlags): Promise<void> {
  const client = context.client();
  const { user_id } = readClaims(context.config.read().tokens?.access ?? '');
  if (typeof user_id !== 'string')
    throw new WordedError('This login belongs to no user: it has no password to change.');
  const old = context.environment.CUPOLA_PASSWORD ?? (context.isTerminal ? await secret('Password now: ') : null);
  if (old === null)
    throw usageError('There is no terminal to ask for the password now.', 'Give it with CUPOLA_PASSWORD.');
  const password = await newPassword(context, undefined, flags);
  await client.act({
    method: 'PUT',
    path: `${client.endpoints.uaa}/Users/${user_id}/password`,
    json: { oldPassword: old, password },
  });
  context.result({ changed: true }, 'The password is changed. Log in with the new one: cupola login');
}
