/** Variables that every app gets when it runs, or when it is staged (CF: environment_variable_groups_controller.rb). They count from the next start on. */
import { updateVariables } from '@cupola/contract/v3/app';
import { environmentGroupAnswer } from '@cupola/contract/v3/platform';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { requireAdmin } from '../access/access.ts';
import { mergeVariables, openVariables, sealVariables, variableErrors } from '../apps/environment.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';

const GROUPS = ['running', 'staging'];

function groupName(text: string | undefined): string {
  if (text === undefined || !GROUPS.includes(text)) throw new NotFoundError('Environment variable group');
  return text;
}

async function readGroup(db: Kysely<Database>, { sealer }: Pick<ApiDeps, 'sealer'>, name: string) {
  const row = await db.selectFrom('environment_groups').selectAll().where('name', '=', name).executeTakeFirst();
  return {
    variables: row === undefined ? {} : openVariables(sealer, row.variables_sealed),
    updatedAt: row?.updated_at ?? null,
  };
}

function present(name: string, group: Awaited<ReturnType<typeof readGroup>>, baseUrl: string) {
  return {
    updated_at: group.updatedAt === null ? null : isoTime(group.updatedAt),
    name,
    var: group.variables,
    links: { self: { href: `${baseUrl}/v3/environment_variable_groups/${name}` } },
  };
}

export const environmentGroupEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/environment_variable_groups/:name',
    summary: 'Variables of all apps: running or staging',
    responseSchema: environmentGroupAnswer,
    handle: async (deps, { params }) => {
      const name = groupName(params.name);
      return { status: 200, body: present(name, await readGroup(deps.store.read, deps, name), deps.config.publicUrl) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/environment_variable_groups/:name',
    summary: 'Set or remove variables of all apps',
    bodySchema: updateVariables,
    responseSchema: environmentGroupAnswer,
    handle: async (deps, { actor, params, body }) => {
      requireAdmin(actor);
      const name = groupName(params.name);
      const errors = variableErrors(body.var, 'Var');
      if (errors.length > 0) throw new UnprocessableError(errors.join(', '));
      const group = await deps.store.mutate(async ({ db, now }) => {
        const { variables } = await readGroup(db, deps, name);
        const merged = mergeVariables(variables, body.var);
        const row = { name, variables_sealed: sealVariables(deps.sealer, merged), updated_at: now };
        await db
          .insertInto('environment_groups')
          .values(row)
          .onConflict(conflict => conflict.column('name').doUpdateSet(row))
          .execute();
        return { variables: merged, updatedAt: now };
      });
      return { status: 200, body: present(name, group, deps.config.publicUrl) };
    },
  }),
];
