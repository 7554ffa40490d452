/** Who may do what with apps, processes, routes and manifests: every endpoint with every role; and that answers are as their schemas say. */
import { aSpace } from '@cupola/store/fixtures';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Json, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { manifestEndpoints } from '../manifests/endpoints.ts';
import { processEndpoints } from '../processes/endpoints.ts';
import { routeEndpoints } from '../routes/endpoints.ts';
import { appEndpoints } from './endpoints.ts';
import { makeStartedApp, placeCopy } from './fixtures.ts';

const ENDPOINTS = [...appEndpoints, ...processEndpoints, ...routeEndpoints, ...manifestEndpoints];

/** Those who may less come first, so that who may delete finds something to delete. */
const ROLES = [
  'stranger',
  'organization_user',
  'organization_billing_manager',
  'organization_auditor',
  'organization_manager',
  'space_auditor',
  'space_manager',
  'space_supporter',
  'space_developer',
] as const;
type Role = (typeof ROLES)[number];
type Verdict = 'yes' | 'forbidden' | 'hidden';

const HIDDEN = {
  stranger: 'hidden',
  organization_user: 'hidden',
  organization_billing_manager: 'hidden',
  organization_auditor: 'hidden',
} as const;
const READ: Record<Role, Verdict> = {
  ...HIDDEN,
  organization_manager: 'yes',
  space_auditor: 'yes',
  space_manager: 'yes',
  space_supporter: 'yes',
  space_developer: 'yes',
};
const DEVELOP: Record<Role, Verdict> = {
  ...HIDDEN,
  organization_manager: 'forbidden',
  space_auditor: 'forbidden',
  space_manager: 'forbidden',
  space_supporter: 'forbidden',
  space_developer: 'yes',
};
/** Supporters keep running what others have pushed. */
const MANAGE: Record<Role, Verdict> = { ...DEVELOP, space_supporter: 'yes' };
const READ_ROUTE: Record<Role, Verdict> = { ...READ, organization_auditor: 'yes' };
const MANAGE_ROUTE: Record<Role, Verdict> = { ...MANAGE, organization_auditor: 'forbidden' };

interface Row {
  call: string;
  may: Record<Role, Verdict>;
  body?: (world: World) => Json;
  yaml?: string;
}
const YAML = 'applications:\n- name: by-manifest\n';
const both = (suffix: string, may: Row['may'], body?: Row['body']): Row[] =>
  ['/v3/processes/:guid', '/v3/apps/:app/processes/:type'].map(base => {
    const [method = '', rest = ''] = suffix.split(' ');
    return { call: `${method} ${base}${rest}`, may, ...(body === undefined ? {} : { body }) };
  });
const destination = ({ app }: World): Json => ({ destinations: [{ app: { guid: app } }] });

/** Deletions last. */
const TABLE: Row[] = [
  { call: 'GET /v3/apps/:guid', may: READ },
  { call: 'PATCH /v3/apps/:guid', may: DEVELOP, body: () => ({ metadata: { labels: { a: 'b' } } }) },
  { call: 'POST /v3/apps/:guid/actions/stop', may: MANAGE },
  { call: 'POST /v3/apps/:guid/actions/start', may: MANAGE },
  { call: 'POST /v3/apps/:guid/actions/restart', may: MANAGE },
  { call: 'GET /v3/apps/:guid/droplets/current', may: READ },
  { call: 'GET /v3/apps/:guid/relationships/current_droplet', may: READ },
  {
    call: 'PATCH /v3/apps/:guid/relationships/current_droplet',
    may: MANAGE,
    body: ({ droplet }) => ({ data: { guid: droplet } }),
  },
  { call: 'GET /v3/apps/:guid/env', may: { ...DEVELOP, space_supporter: 'yes' } },
  { call: 'GET /v3/apps/:guid/environment_variables', may: { ...DEVELOP, space_supporter: 'yes' } },
  { call: 'PATCH /v3/apps/:guid/environment_variables', may: MANAGE, body: () => ({ var: { A: 'b' } }) },
  { call: 'GET /v3/apps/:guid/features', may: READ },
  { call: 'GET /v3/apps/:guid/features/:name', may: READ },
  { call: 'PATCH /v3/apps/:guid/features/:name', may: DEVELOP, body: () => ({ enabled: true }) },
  { call: 'GET /v3/apps/:guid/ssh_enabled', may: READ },
  { call: 'GET /v3/apps/:guid/permissions', may: READ },
  { call: 'GET /v3/apps/:guid/manifest', may: DEVELOP },
  { call: 'GET /v3/apps/:guid/processes', may: READ },
  { call: 'GET /v3/apps/:guid/routes', may: READ },
  { call: 'GET /v3/apps/:guid/route_certificates', may: READ },
  ...both('GET', READ),
  ...both('PATCH', MANAGE, () => ({ command: 'run' })),
  ...both('POST /actions/scale', MANAGE, () => ({ instances: 1 })),
  ...both('GET /stats', READ),
  ...both('GET /process_instances', READ),
  ...both('DELETE /instances/:index', MANAGE),
  { call: 'POST /v3/spaces/:guid/manifest_diff', may: DEVELOP, yaml: YAML },
  { call: 'POST /v3/spaces/:guid/actions/apply_manifest', may: DEVELOP, yaml: YAML },
  { call: 'GET /v3/routes/:guid', may: READ_ROUTE },
  { call: 'PATCH /v3/routes/:guid', may: MANAGE_ROUTE, body: () => ({ options: {} }) },
  { call: 'GET /v3/routes/:guid/destinations', may: READ_ROUTE },
  { call: 'POST /v3/routes/:guid/destinations', may: MANAGE_ROUTE, body: destination },
  { call: 'PATCH /v3/routes/:guid/destinations', may: MANAGE_ROUTE, body: destination },
  {
    call: 'PATCH /v3/routes/:guid/destinations/:destination',
    may: MANAGE_ROUTE,
    body: () => ({ protocol: 'http1' }),
  },
  { call: 'GET /v3/routes/:guid/relationships/shared_spaces', may: READ_ROUTE },
  { call: 'POST /v3/routes/:guid/relationships/shared_spaces', may: MANAGE_ROUTE, body: () => ({ data: [] }) },
  { call: 'DELETE /v3/routes/:guid/relationships/shared_spaces/:space', may: MANAGE_ROUTE },
  { call: 'PATCH /v3/routes/:guid/relationships/space', may: MANAGE_ROUTE, body: () => ({ data: null }) },
  { call: 'DELETE /v3/routes/:guid/destinations/:destination', may: MANAGE_ROUTE },
  // The supporter has deleted it.
  { call: 'DELETE /v3/routes/:guid', may: { ...MANAGE_ROUTE, space_developer: 'hidden' } },
  { call: 'DELETE /v3/apps/:guid', may: DEVELOP },
];
/** Seen by everyone, and filtered; or with the space in the body: tested beside their handlers. */
const ELSEWHERE = ['GET /v3/apps', 'POST /v3/apps', 'GET /v3/processes', 'GET /v3/routes', 'POST /v3/routes'];

interface World {
  app: string;
  route: string;
  destination: string;
  space: string;
  droplet: string;
}

let api: TestApi;
let world: World;
let tokens: Record<Role, string>;

async function makeWorld(): Promise<World> {
  const { token, space } = { token: api.admin, space: api.home.spaceGuid };
  const app = await makeStartedApp(api);
  await placeCopy(api, app.guid);
  const relationships = { space: { data: { guid: space } }, domain: { data: { guid: api.home.domainGuid } } };
  const { body: route } = await api.api('POST', '/v3/routes', { token, body: { host: 'one', relationships } });
  const path = `/v3/routes/${route.guid}/destinations`;
  const body = { destinations: [{ app: { guid: app.guid } }] };
  const mapped = await api.api('POST', path, { token, body });
  const [first] = mapped.body.destinations;
  const droplet = app.relationships.current_droplet.data.guid;
  return { app: app.guid, route: route.guid, destination: first.guid, space, droplet };
}

async function makeTokens(): Promise<Record<Role, string>> {
  const { organizationGuid: organization, spaceGuid: space } = api.home;
  const away = await aSpace(api.deps.store);
  const tokenOf = async (role: Role): Promise<[Role, string]> => {
    const place = role.startsWith('space_') ? space : organization;
    const roles = role === 'stranger' ? { space_developer: away.guid } : { [role]: place };
    return [role, (await api.userWith(roles)).token];
  };
  return Object.fromEntries(await Promise.all(ROLES.map(tokenOf))) as Record<Role, string>;
}

beforeAll(async () => {
  api = await startTestApi();
  await api.api('PATCH', '/v3/feature_flags/route_sharing', { token: api.admin, body: { enabled: true } });
  world = await makeWorld();
  tokens = await makeTokens();
});
afterAll(() => api[Symbol.asyncDispose]());

function pathOf(template: string): string {
  const guid = template.startsWith('/v3/routes')
    ? world.route
    : template.startsWith('/v3/spaces')
      ? world.space
      : world.app;
  const given: Record<string, string> = { ...world, guid, type: 'web', name: 'ssh', index: '0' };
  return template.replace(/:(\w+)/g, (_all, name: string) => given[name] ?? '');
}

function ask({ call, body, yaml }: Row, role: Role): Promise<TestAnswer> {
  const [method = '', template = ''] = call.split(' ');
  return api.api(method, pathOf(template), {
    token: tokens[role],
    ...(body === undefined ? {} : { body: body(world) }),
    ...(yaml === undefined ? {} : { yaml }),
  });
}

/** 422 is an answer too: the asker may, but what was asked for is not built. */
function verdictOf({ status }: TestAnswer): Verdict {
  if (status === 404) return 'hidden';
  return status === 403 ? 'forbidden' : 'yes';
}

/** One after another: the first that may delete something does it for all after. */
async function verdicts(row: Row): Promise<{ found: Record<string, Verdict>; last: TestAnswer }> {
  const found: Record<string, Verdict> = {};
  let last: TestAnswer | null = null;
  for (const role of ROLES) {
    last = await ask(row, role);
    found[role] = verdictOf(last);
  }
  return { found, last: last as TestAnswer };
}

const nameOf = ({ method, path }: Endpoint): string => `${method} ${path}`;

/** What its schema leaves out or refuses of an answer, if it has one. */
function misfit(row: Row, { status, body }: TestAnswer): unknown {
  const schema = ENDPOINTS.find(endpoint => nameOf(endpoint) === row.call)?.responseSchema ?? null;
  if (schema === null || status >= 300) return null;
  const parsed = schema.safeParse(body);
  if (!parsed.success) return parsed.error.issues;
  return JSON.stringify(parsed.data) === JSON.stringify(body) ? null : { answered: body, described: parsed.data };
}

describe('who may', () => {
  test('the table has every endpoint once', () => {
    const rows = [...TABLE.map(({ call }) => call), ...ELSEWHERE];
    expect(rows.sort()).toEqual(ENDPOINTS.map(nameOf).sort());
  });

  test.each(TABLE.map(row => [row.call, row] as const))('%s', async (_call, row) => {
    const { found, last } = await verdicts(row);
    expect(found).toEqual(row.may);
    expect(misfit(row, last)).toBeNull();
  });
});

test.each(ELSEWHERE)('%s without a token is 401', async call => {
  const [method = '', path = ''] = call.split(' ');
  expect((await api.api(method, path)).status).toBe(401);
});

test('in a suspended organization members read, and only admins change', async () => {
  await using suspended = await startTestApi();
  const app = await makeStartedApp(suspended);
  const { token } = await suspended.userWith({ space_developer: suspended.home.spaceGuid });
  const organization = `/v3/organizations/${suspended.home.organizationGuid}`;
  await suspended.api('PATCH', organization, { token: suspended.admin, body: { suspended: true } });
  const path = `/v3/apps/${app.guid}`;
  expect((await suspended.api('GET', path, { token })).status).toBe(200);
  const stop = await suspended.api('POST', `${path}/actions/stop`, { token });
  expect(stop).toMatchObject({ status: 403, body: { errors: [{ code: 10_017, title: 'CF-OrgSuspended' }] } });
  expect((await suspended.api('POST', `${path}/actions/stop`, { token: suspended.admin })).status).toBe(200);
});
