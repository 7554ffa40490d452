/** Variables of an app: its own, to read and to change, and all that it would find (CF: apps_controller.rb, app_env_presenter.rb). */
import { appEnvironment, appVariables, updateVariables } from '@cupola/contract/v3/app';
import { ForbiddenError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { holdsInSpace } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { urisByProcessType } from '../run-specs/fix.ts';
import { appFacts } from '../run-specs/vcap-application.ts';
import { boundServices } from '../services/vcap-services.ts';
import { recordAppEvent } from './app-events.ts';
import { updateAppRow } from './change-app.ts';
import { mergeVariables, openVariables, sealVariables, type Variables, variableErrors } from './environment.ts';
import { APP_MANAGERS, type ScopedApp, seenApp, writableApp } from './find-app.ts';
import { HIDDEN, logApi, rubyText } from './log-line.ts';

/** Who may see an app but not its secrets gets 403; so does everyone but admins while a flag forbids it. */
async function readableSecrets(db: Kysely<Database>, actor: Actor, guid: string): Promise<ScopedApp> {
  const app = await seenApp(db, actor, guid);
  if (!holdsInSpace(actor, app.space_guid, ['space_developer', 'space_supporter'])) throw new ForbiddenError();
  await requireFlag(db, actor, 'env_var_visibility');
  await requireFlag(db, actor, 'space_developer_env_var_visibility');
  return app;
}

/** That somebody has looked is on record. */
async function readRecorded(
  mutation: Mutation,
  { actor, params }: { actor: Actor; params: Record<string, string> },
  type: 'environment.show' | 'environment_variables.show',
): Promise<ScopedApp> {
  const app = await readableSecrets(mutation.db, actor, params.guid ?? '');
  await recordAppEvent(mutation, { actor, app, type });
  return app;
}

async function readGroups({ store, sealer }: ApiDeps): Promise<Map<string, Variables>> {
  const rows = await store.read.selectFrom('environment_groups').select(['name', 'variables_sealed']).execute();
  return new Map(rows.map(row => [row.name, openVariables(sealer, row.variables_sealed)]));
}

async function presentEnvironment(deps: ApiDeps, actor: Actor, app: ScopedApp) {
  const groups = await readGroups(deps);
  const uris = new Set([...(await urisByProcessType(deps.store.read, app.guid)).values()].flat());
  // What supporters may not see: credentials of services.
  const system = holdsInSpace(actor, app.space_guid, ['space_developer'])
    ? { VCAP_SERVICES: (await boundServices(deps.store.read, deps.sealer, app.guid)).vcapServices }
    : { redacted_message: HIDDEN };
  return {
    environment_variables: openVariables(deps.sealer, app.environment_sealed),
    staging_env_json: groups.get('staging') ?? {},
    running_env_json: groups.get('running') ?? {},
    system_env_json: system,
    application_env_json: {
      VCAP_APPLICATION: appFacts(app, { apiUrl: deps.config.publicUrl, uris: [...uris] }),
    },
  };
}

function presentVariables({ sealer, config }: ApiDeps, app: ScopedApp) {
  const self = `${config.publicUrl}/v3/apps/${app.guid}`;
  return {
    var: openVariables(sealer, app.environment_sealed),
    links: { self: { href: `${self}/environment_variables` }, app: { href: self } },
  };
}

export const environmentEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/env',
    summary: 'All variables that an app finds: its own, those of the platform, those of all apps',
    responseSchema: appEnvironment,
    handle: async (deps, request) => {
      const app = await deps.store.mutate(mutation => readRecorded(mutation, request, 'environment.show'));
      return { status: 200, body: await presentEnvironment(deps, request.actor, app) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/environment_variables',
    summary: 'User-provided variables of an app',
    responseSchema: appVariables,
    handle: async (deps, request) => {
      const app = await deps.store.mutate(mutation => readRecorded(mutation, request, 'environment_variables.show'));
      return { status: 200, body: presentVariables(deps, app) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/apps/:guid/environment_variables',
    summary: 'Set or remove (null) user-provided variables; counts from the next start or staging on',
    bodySchema: updateVariables,
    responseSchema: appVariables,
    handle: async (deps, { actor, params, body }) => {
      const app = await deps.store.mutate(async mutation => {
        const present = await writableApp(mutation.db, actor, params.guid ?? '', APP_MANAGERS);
        const errors = variableErrors(body.var, 'Var');
        if (errors.length > 0) throw new UnprocessableError(errors.join(', '));
        const merged = mergeVariables(openVariables(deps.sealer, present.environment_sealed), body.var);
        const updated = await updateAppRow(mutation, present, {
          environment_sealed: sealVariables(deps.sealer, merged),
        });
        const data = { request: { environment_variables: HIDDEN } };
        await recordAppEvent(mutation, { actor, app: updated, type: 'update', data });
        return updated;
      });
      const said = rubyText({ environment_variables: HIDDEN });
      await logApi(deps, app.guid, `Updated app with guid ${app.guid} (${said})`);
      return { status: 200, body: presentVariables(deps, app) };
    },
  }),
];
