/** login, logout, target, orgs, spaces, create-space: who is asking, and where. */
import { discover, type Endpoints, passwordLogin, readClaims } from '@cupola/client/login';
import { readOrganization, readSpace } from '@cupola/contract/v3/client-reads';
import { EXIT } from '@cupola/push/exit-codes';
import { usageError, WordedError } from '@cupola/push/failures';
import { table } from '@cupola/push/text';
import type { CliContext, Named } from '../context.ts';
import { ownPlatform } from '../own-platform.ts';
import { question, readStdin, secret } from '../prompt.ts';

interface LoginFlags {
  api?: string;
  username?: string;
  password?: string;
  passwordStdin?: boolean;
  organization?: string;
  space?: string;
  skipSslValidation?: boolean;
}

export async function login(context: CliContext, flags: LoginFlags): Promise<void> {
  const known = context.config.read();
  const address = flags.api ?? known.endpoints?.api ?? ownPlatform()?.api;
  if (address === undefined) throw usageError('Which platform?', 'cupola login -a URL (cupola up prints its own)');
  const skipSslValidation = flags.skipSslValidation ?? (flags.api === undefined ? known.skipSslValidation : false);
  const transport = context.transport(skipSslValidation);
  const endpoints = await discover(transport, /^https?:\/\//.test(address) ? address : `https://${address}`);
  const username = flags.username ?? (context.isTerminal ? await question('User name: ') : null);
  if (username === null) throw usageError('Which user?', 'cupola login -u NAME');
  const tokens = await passwordLogin(transport, endpoints, { username, password: await password(context, flags) });
  const sameApi = endpoints.api === known.endpoints?.api;
  await context.config.change(config => ({
    ...config,
    endpoints,
    skipSslValidation,
    tokens,
    organization: sameApi ? config.organization : null,
    space: sameApi ? config.space : null,
  }));
  const targeted = await chooseTarget(context, flags);
  context.result({ api: endpoints.api, username, ...targeted }, describe(endpoints, username, targeted));
}

async function password(context: CliContext, flags: LoginFlags): Promise<string> {
  if (flags.password !== undefined) return flags.password;
  if (flags.passwordStdin) return readStdin();
  if (context.environment.CUPOLA_PASSWORD) return context.environment.CUPOLA_PASSWORD;
  if (context.isTerminal) return secret('Password: ');
  throw usageError(
    'There is no terminal to ask for a password.',
    'Give it with CUPOLA_PASSWORD, or --password-stdin, or -p (others on this machine may see that one).',
  );
}

interface Targeted {
  organization: Named | null;
  space: Named | null;
}

/** The ones named; else the ones remembered if they are still there; else the only ones there are. */
async function chooseTarget(context: CliContext, flags: { organization?: string; space?: string }): Promise<Targeted> {
  const config = context.config.read();
  const organization = await chooseOrganization(context, flags.organization ?? null, config.organization);
  const space =
    organization === null
      ? null
      : await chooseSpace(context, organization, { name: flags.space ?? null, remembered: config.space });
  await context.config.change(current => ({ ...current, organization, space }));
  return { organization, space };
}

async function chooseOrganization(
  context: CliContext,
  name: string | null,
  remembered: Named | null,
): Promise<Named | null> {
  const client = context.client();
  if (name !== null) {
    const found = await client.first(readOrganization, '/v3/organizations', { names: name });
    if (found === null)
      throw new WordedError(`Organization "${name}" was not found, or your user has no role in it.`, {
        next: 'See yours: cupola orgs',
      });
    return found;
  }
  const all = await client.all(readOrganization, '/v3/organizations', { order_by: 'name' });
  return all.find(({ guid }) => guid === remembered?.guid) ?? (all.length === 1 ? (all[0] ?? null) : null);
}

async function chooseSpace(
  context: CliContext,
  organization: Named,
  { name, remembered }: { name: string | null; remembered: Named | null },
): Promise<Named | null> {
  const client = context.client();
  const within = { organization_guids: organization.guid };
  if (name !== null) {
    const found = await client.first(readSpace, '/v3/spaces', { ...within, names: name });
    if (found === null)
      throw new WordedError(`Space "${name}" was not found in ${organization.name}.`, {
        next: `See which there are: cupola spaces. Make it: cupola create-space ${name}`,
      });
    return found;
  }
  const all = await client.all(readSpace, '/v3/spaces', { ...within, order_by: 'name' });
  return all.find(({ guid }) => guid === remembered?.guid) ?? (all.length === 1 ? (all[0] ?? null) : null);
}

function describe(endpoints: Endpoints, username: string, { organization, space }: Targeted): string {
  const rows = [
    ['API', endpoints.api],
    ['user', username],
    ['org', organization?.name ?? 'none: cupola target -o ORG'],
    ['space', space?.name ?? 'none: cupola target -s SPACE'],
  ];
  return table(rows);
}

export async function logout(context: CliContext): Promise<void> {
  await context.config.change(config => ({ ...config, tokens: null, organization: null, space: null }));
  context.result({ loggedIn: false }, 'Logged out.');
}

export async function target(context: CliContext, flags: { organization?: string; space?: string }): Promise<void> {
  const { endpoints } = context.client();
  const config = context.config.read();
  let targeted: Targeted = config;
  if (flags.organization !== undefined) {
    const organization = await chooseOrganization(context, flags.organization, null);
    const space = await chooseSpace(context, organization as Named, { name: flags.space ?? null, remembered: null });
    targeted = { organization, space };
  } else if (flags.space !== undefined) {
    if (config.organization === null)
      throw new WordedError('No organization is targeted.', {
        exitCode: EXIT.login,
        next: 'cupola target -o ORG -s SPACE',
      });
    targeted = {
      organization: config.organization,
      space: await chooseSpace(context, config.organization, { name: flags.space, remembered: null }),
    };
  }
  if (targeted !== config)
    await context.config.change(current => ({
      ...current,
      organization: targeted.organization,
      space: targeted.space,
    }));
  const username = readClaims(config.tokens?.access ?? '').user_name ?? 'unknown';
  const { organization, space } = targeted;
  context.result({ api: endpoints.api, username, organization, space }, describe(endpoints, username, targeted));
}

export async function orgs(context: CliContext): Promise<void> {
  const all = await context.client().all(readOrganization, '/v3/organizations', { order_by: 'name' });
  context.result(
    { organizations: all },
    all.length === 0 ? 'no organizations' : all.map(({ name }) => name).join('\n'),
  );
}

export async function spaces(context: CliContext): Promise<void> {
  const organization = targetedOrganization(context);
  const all = await context
    .client()
    .all(readSpace, '/v3/spaces', { order_by: 'name', organization_guids: organization.guid });
  context.result(
    { spaces: all },
    all.length === 0 ? `no spaces in ${organization.name}` : all.map(({ name }) => name).join('\n'),
  );
}

function targetedOrganization(context: CliContext): Named {
  context.client();
  const { organization } = context.config.read();
  if (organization === null)
    throw new WordedError('No organization is targeted.', { exitCode: EXIT.login, next: 'cupola target -o ORG' });
  return organization;
}

/** As cf: whoever makes a space is its manager and developer. */
export async function createSpace(context: CliContext, name: string, flags: { organization?: string }): Promise<void> {
  const client = context.client();
  const organization =
    flags.organization === undefined
      ? targetedOrganization(context)
      : ((await chooseOrganization(context, flags.organization, null)) as Named);
  const made = await client.read(readSpace, {
    method: 'POST',
    path: '/v3/spaces',
    json: { name, relationships: { organization: { data: { guid: organization.guid } } } },
  });
  const claims = readClaims(context.config.read().tokens?.access ?? '');
  for (const type of typeof claims.user_id !== 'string' ? [] : ['space_manager', 'space_developer'])
    await client.act({
      method: 'POST',
      path: '/v3/roles',
      json: { type, relationships: { space: { data: { guid: made.guid } }, user: { data: { guid: claims.user_id } } } },
    });
  context.result(
    { space: made },
    `Made space ${name} in ${organization.name}. Go there: cupola target -o ${organization.name} -s ${name}`,
  );
}
