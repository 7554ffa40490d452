/** security-groups, create-security-group and their kin: which addresses beside the public ones apps of a space may reach. */
import { readFileSync } from 'node:fs';
import { type ReadSecurityGroup, readSecurityGroup, readSpace } from '@cupola/contract/v3/client-reads';
import { sentence } from '@cupola/model/sentence';
import { usageError, WordedError } from '@cupola/push/failures';
import { didYouMean } from '@cupola/push/near';
import type { CliContext } from '../context.ts';
import { findOrganization, findSpace } from '../find.ts';
import { confirm } from '../prompt.ts';

const LIFECYCLES = ['running', 'staging'] as const;
type Lifecycle = (typeof LIFECYCLES)[number];

async function findGroup(context: CliContext, name: string): Promise<ReadSecurityGroup> {
  const client = context.client();
  const found = await client.first(readSecurityGroup, '/v3/security_groups', { names: name });
  if (found !== null) return found;
  const all = await client.all(readSecurityGroup, '/v3/security_groups');
  const near = didYouMean(
    name,
    all.map(one => one.name),
  );
  throw new WordedError(`Security group "${name}" was not found, or none of your spaces has it.`, {
    next: near ?? 'See yours: cupola security-groups',
  });
}

export async function securityGroups(context: CliContext): Promise<void> {
  const all = await context.client().all(readSecurityGroup, '/v3/security_groups');
  const rows = all.map(({ name, rules, globally_enabled: everywhere, relationships }) => [
    name,
    rules.map(({ protocol, destination, ports }) => [protocol, destination, ports ?? ''].join(' ').trim()).join('; '),
    LIFECYCLES.filter(one => everywhere[one]).join(', ') || '-',
    String(new Set(LIFECYCLES.flatMap(one => relationships[`${one}_spaces`].data.map(({ guid }) => guid))).size),
  ]);
  context.result(
    { security_groups: all },
    all.length === 0
      ? 'There are none.'
      : context.table([['name', 'opens', 'for all spaces', 'bound to spaces'], ...rows]),
  );
}

/** @throws usage error: a file that is not there, or no JSON. What is in it is the API's to judge. */
function rulesIn(file: string): unknown {
  const form = '[{"protocol":"tcp","destination":"10.0.5.7","ports":"5432"}]';
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw usageError(
      sentence(`The rules cannot be read: ${(error as Error).message}`),
      `Name a file with the like of ${form}`,
    );
  }
}

const COUNTS_WHEN = 'It counts from the next start of an app on: cupola restart APP';

export async function createSecurityGroup(context: CliContext, name: string, file: string): Promise<void> {
  const rules = rulesIn(file);
  const made = await context.client().read(readSecurityGroup, {
    method: 'POST',
    path: '/v3/security_groups',
    json: { name, rules },
  });
  context.result(
    { security_group: made },
    `Made security group ${name}. Give it to a space: cupola bind-security-group ${name} ORG --space SPACE`,
  );
}

export async function updateSecurityGroup(context: CliContext, name: string, file: string): Promise<void> {
  const rules = rulesIn(file);
  const { guid } = await findGroup(context, name);
  const changed = await context.client().read(readSecurityGroup, {
    method: 'PATCH',
    path: `/v3/security_groups/${guid}`,
    json: { rules },
  });
  context.result({ security_group: changed }, `Changed security group ${name}. ${COUNTS_WHEN}`);
}

export async function deleteSecurityGroup(
  context: CliContext,
  name: string,
  { force }: { force?: boolean },
): Promise<void> {
  const client = context.client();
  const found = await client.first(readSecurityGroup, '/v3/security_groups', { names: name });
  if (found === null) return context.result({ name, deleted: false }, `Security group ${name} does not exist.`);
  const what = `Deleting security group ${name}`;
  if (!(await confirm(context, { force, what, command: `cupola delete-security-group ${name} -f` })))
    return context.result({ name, deleted: false }, `${name} was left as it is.`);
  await client.act({ method: 'DELETE', path: `/v3/security_groups/${found.guid}` });
  context.result({ name, deleted: true }, `Security group ${name} is deleted. ${COUNTS_WHEN}`);
}

interface Where {
  organization: string;
  space?: string | undefined;
  lifecycle?: string;
}

function lifecycleOf({ lifecycle = 'running' }: Where): Lifecycle {
  const known = LIFECYCLES.find(one => one === lifecycle);
  if (known === undefined)
    throw usageError(`There is no lifecycle ${lifecycle}.`, 'Write --lifecycle running or --lifecycle staging');
  return known;
}

/** To one space, or to all that the organization has now. */
export async function bindSecurityGroup(context: CliContext, name: string, where: Where): Promise<void> {
  const lifecycle = lifecycleOf(where);
  const { guid } = await findGroup(context, name);
  const spaces =
    where.space === undefined
      ? await spacesOf(context, where.organization)
      : [await findSpace(context, { organization: where.organization, name: where.space })];
  await context.client().act({
    method: 'POST',
    path: `/v3/security_groups/${guid}/relationships/${lifecycle}_spaces`,
    json: { data: spaces.map(space => ({ guid: space.guid })) },
  });
  const names = spaces.map(space => space.name);
  context.result(
    { name, lifecycle, spaces: names },
    `${names.join(', ')} of ${where.organization} has ${name}. ${COUNTS_WHEN}`,
  );
}

async function spacesOf(context: CliContext, organization: string) {
  const { guid } = await findOrganization(context, organization);
  const spaces = await context.client().all(readSpace, '/v3/spaces', { organization_guids: guid });
  if (spaces.length === 0)
    throw new WordedError(`${organization} has no space.`, {
      next: `Make one: cupola create-space NAME -o ${organization}`,
    });
  return spaces;
}

export async function unbindSecurityGroup(
  context: CliContext,
  name: string,
  where: Where & { space: string },
): Promise<void> {
  const lifecycle = lifecycleOf(where);
  const { guid } = await findGroup(context, name);
  const space = await findSpace(context, { organization: where.organization, name: where.space });
  await context.client().act({
    method: 'DELETE',
    path: `/v3/security_groups/${guid}/relationships/${lifecycle}_spaces/${space.guid}`,
  });
  context.result({ name, lifecycle, spaces: [] }, `${where.space} no longer has ${name}. ${COUNTS_WHEN}`);
}
