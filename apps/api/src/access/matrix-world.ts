/**
 * A world for the table of who may do what: one thing of each kind, users of each kind, and a request for each endpoint. Writes are undone, so that no
 * request sees what another one did.
 */
import {
  aBinding,
  aBuild,
  aDeployment,
  aDestination,
  aDroplet,
  anApp,
  anInstance,
  anOrganization,
  aPackage,
  aProcess,
  aRevision,
  aRoute,
  aSidecar,
  aSpace,
  aTask,
} from '@cupola/store/fixtures';
import type { Store } from '@cupola/store/store';
import { recordEvent } from '../events/record.ts';
import { startTestApi, type TestApi, type TestCall } from '../fixtures.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { type Actor, NOBODY } from './actor.ts';

export interface MatrixWorld extends AsyncDisposable {
  /** Who asks, in the order of the table's columns; undefined asks without a token. */
  askers: Record<string, string | undefined>;
  /** The status that this asker gets. */
  ask(endpoint: Endpoint, token: string | undefined): Promise<number>;
}

/** Carries what a mutation would have answered out of its transaction, which it ends. */
class Undone extends Error {
  readonly value: unknown;
  constructor(value: unknown) {
    super('undone on purpose');
    this.value = value;
  }
}

/** A store whose writes are undone once `isDry` says so; each answers as if it had been kept. */
function undoing(store: Store, isDry: () => boolean): Store {
  const undo = <M, T>(
    run: (work: (mutation: M) => Promise<T>) => Promise<T>,
    work: (mutation: M) => Promise<T>,
  ): Promise<T> =>
    run(async mutation => {
      throw new Undone(await work(mutation));
    }).catch((error: unknown) => {
      if (error instanceof Undone) return error.value as T;
      throw error;
    });
  return {
    ...store,
    mutate: work => (isDry() ? undo(store.mutate, work) : store.mutate(work)),
    note: work => (isDry() ? undo(store.note, work) : store.note(work)),
  };
}

export async function matrixWorld(): Promise<MatrixWorld> {
  let dry = false;
  const test = await startTestApi({ wrapStore: store => undoing(store, () => dry) });
  const guids = await things(test);
  const askers = await people(test, guids);
  dry = true;
  return {
    askers,
    ask: async (endpoint, token) => {
      const call = requestOf(endpoint, guids);
      const answer = await test.api(endpoint.method, pathOf(endpoint, guids), {
        ...call,
        ...(token === undefined ? {} : { token }),
      });
      return answer.status;
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

type Guids = Record<string, string>;
const to = (guid: string | undefined) => ({ data: { guid } });

/** One of each, in the home organization and space. */
async function things(test: TestApi): Promise<Guids> {
  const { store } = test.deps;
  const { organizationGuid, spaceGuid, domainGuid, adminGuid } = test.home;
  const app = await anApp(store, { space_guid: spaceGuid });
  const inApp = { app_guid: app.guid };
  const process = await aProcess(store, { ...inApp, guid: app.guid });
  const packageRow = await aPackage(store, inApp);
  const droplet = await aDroplet(store, { ...inApp, package_guid: packageRow.guid });
  const build = await aBuild(store, {
    ...inApp,
    package_guid: packageRow.guid,
    state: 'STAGED',
    droplet_guid: droplet.guid,
  });
  const route = await aRoute(store, { space_guid: spaceGuid, domain_guid: domainGuid });
  const destination = await aDestination(store, { ...inApp, route_guid: route.guid });

  const revision = await aRevision(store, { ...inApp, droplet_guid: droplet.guid });
  const sidecar = await aSidecar(store, inApp);
  const task = await aTask(store, { ...inApp, droplet_guid: droplet.guid });
  const deployment = await aDeployment(store, { ...inApp, previous_droplet_guid: droplet.guid });
  const other = await anOrganization(store);
  const otherSpace = await aSpace(store, { organization_guid: other.guid });
  const body = { name: 'acme.example', relationships: { organization: { data: { guid: organizationGuid } } } };
  const domain = (await test.api('POST', '/v3/domains', { token: test.admin, body })).body;
  const member = await test.userWith({ organization_user: organizationGuid });
  const [role] = (await test.api('GET', `/v3/roles?user_guids=${member.guid}`, { token: test.admin })).body.resources;
  const [quota] = (await test.api('GET', '/v3/organization_quotas', { token: test.admin })).body.resources;
  const actor: Actor = { ...NOBODY, kind: 'user', guid: adminGuid, name: 'admin' };
  const target = { type: 'app', guid: app.guid, name: app.name };
  await store.mutate(mutation =>
    recordEvent(mutation, { type: 'audit.app.create', actor, target, spaceGuid, organizationGuid }),
  );
  const [event] = (await test.api('GET', '/v3/audit_events?types=audit.app.create', { token: test.admin })).body
    .resources;
  const instance = await anInstance(store, { space_guid: spaceGuid });
  const binding = await aBinding(store, { ...inApp, service_instance_guid: instance.guid });
  const spare = await anInstance(store, { space_guid: spaceGuid });
  const job = await store.mutate(mutation =>
    finishedJob(mutation, { operation: 'app.delete', resourceGuid: app.guid, actor }),
  );
  const first = async (list: string) => (await test.api('GET', list, { token: test.admin })).body.resources[0].guid;
  return {
    organizations: organizationGuid,
    spaces: spaceGuid,
    domains: domain.guid,
    users: member.guid,
    Users: member.guid,
    roles: role.guid,
    organization_quotas: quota.guid,
    ...(await ruling(test)),
    audit_events: event.guid,
    jobs: job,
    apps: app.guid,
    read: app.guid,
    processes: process.guid,
    packages: packageRow.guid,
    builds: build.guid,
    droplets: droplet.guid,
    routes: route.guid,
    service_instances: instance.guid,
    service_credential_bindings: binding.guid,
    revisions: revision.guid,
    deployments: deployment.guid,
    tasks: task.guid,
    sidecars: sidecar.guid,
    destination: destination.guid,
    buildpacks: await first('/v3/buildpacks'),
    stacks: await first('/v3/stacks'),
    spareInstance: spare.guid,
    other: other.guid,
    otherSpace: otherSpace.guid,
  };
}

/** What limits the home organization and space. */
async function ruling(test: TestApi): Promise<Guids> {
  const { organizationGuid, spaceGuid } = test.home;
  const ofOrganization = {
    name: 'small',
    relationships: { organization: to(organizationGuid), spaces: { data: [{ guid: spaceGuid }] } },
  };
  const spaceQuota = (await test.api('POST', '/v3/space_quotas', { token: test.admin, body: ofOrganization })).body;
  const bound = { running_spaces: { data: [{ guid: spaceGuid }] }, staging_spaces: { data: [{ guid: spaceGuid }] } };
  const group = (
    await test.api('POST', '/v3/security_groups', { token: test.admin, body: { name: 'db', relationships: bound } })
  ).body;
  const segment = (await test.api('POST', '/v3/isolation_segments', { token: test.admin, body: { name: 'secret' } }))
    .body;
  await test.api('POST', `/v3/isolation_segments/${segment.guid}/relationships/organizations`, {
    token: test.admin,
    body: { data: [{ guid: organizationGuid }] },
  });
  return { space_quotas: spaceQuota.guid, security_groups: group.guid, isolation_segments: segment.guid };
}

async function people(test: TestApi, guids: Guids): Promise<MatrixWorld['askers']> {
  const { organizationGuid, spaceGuid } = test.home;
  const token = async (roles: Parameters<TestApi['userWith']>[0]) => (await test.userWith(roles)).token;
  return {
    admin: test.admin,
    'org manager': await token({ organization_manager: organizationGuid }),
    'org auditor': await token({ organization_auditor: organizationGuid }),
    'org member': await token({ organization_user: organizationGuid }),
    'space manager': await token({ space_manager: spaceGuid }),
    developer: await token({ space_developer: spaceGuid }),
    supporter: await token({ space_supporter: spaceGuid }),
    'space auditor': await token({ space_auditor: spaceGuid }),
    outsider: await token({
      organization_manager: guids.other ?? '',
      space_manager: guids.otherSpace ?? '',
      space_developer: guids.otherSpace ?? '',
    }),
    nobody: undefined,
  };
}

/** Parameters beside `:guid`, which is the thing of the collection before it. */
const PARAMETERS: Record<string, string> = { type: 'web', index: '0', id: 'cf', jti: 'x' };
const NAMES: Record<string, string> = {
  feature_flags: 'app_scaling',
  environment_variable_groups: 'running',
  features: 'ssh',
};

function pathOf({ method, path }: Endpoint, guids: Guids): string {
  const filled = path.replace(/([\w-]+)\/:(\w+)/g, (_whole, collection: string, name: string) => {
    if (name === 'organization') return `${collection}/${guids.other}`;
    if (name === 'space')
      return `${collection}/${/^\/v3\/(space_quotas|security_groups)/.test(path) ? guids.spaces : guids.otherSpace}`;
    if (name === 'destination') return `${collection}/${guids.destination}`;
    if (name === 'name') return `${collection}/${NAMES[collection] ?? 'x'}`;
    return `${collection}/${PARAMETERS[name] ?? guids[collection] ?? 'x'}`;
  });
  return method === 'DELETE' && path === '/v3/spaces/:guid/routes' ? `${filled}?unmapped=true` : filled;
}

const METADATA = { metadata: { labels: { a: 'b' } } };

/** A body that is right for everybody who may send it. @throws when an endpoint wants one and has none here: write it with the endpoint. */
function requestOf(endpoint: Endpoint, guids: Guids): TestCall {
  const key = `${endpoint.method} ${endpoint.path}`;
  const made = requests(guids)[key];
  if (made !== undefined) return made;
  if (endpoint.method === 'PATCH' && endpoint.body === 'json') return { body: METADATA };
  if (endpoint.bodySchema !== null) throw new Error(`${key} wants a body: add one to matrix-world.ts`);
  return endpoint.body === 'json' ? { body: {} } : {};
}

function requestsBesideCf(guids: Guids): Record<string, TestCall> {
  const { apps: id } = guids;
  const policy = { source: { id }, destination: { id, protocol: 'tcp', ports: { start: 1, end: 1 } } };
  const call = { body: { policies: [policy] } };
  return {
    'POST /networking/v1/external/policies': call,
    'POST /networking/v1/external/policies/delete': call,
    'PATCH /v3/apps/:guid/git': { body: { branch: 'main' } },
    'PUT /v3/apps/:guid/git_previews': { body: { branch: 'fix' } },
    'POST /v3/development_apps': { body: { name: 'new-dev', relationships: { space: to(guids.spaces) } } },
    'PUT /v3/apps/:guid/git_webhook': { body: { repository_url: 'https://github.com/team/shop.git' } },
    'POST /v3/ssh_keys': { body: { name: 'x', public_key: 'x' } },
    'POST /v3/ssh_logins': { body: { key: '', proof: null } },
  };
}

const LOGINS: Record<string, TestCall> = {
  'POST /oauth/token': { form: { grant_type: 'password', username: 'x', password: 'x' } },
  'POST /passcode': { form: { username: 'x', password: 'x' } },
  // A redirect that is not registered is refused, whoever asks.
  'POST /oauth/authorize': { form: { client_id: 'dashboard', redirect_uri: 'https://elsewhere.example/' } },
};

function requests(guids: Guids): Record<string, TestCall> {
  const app = { app: to(guids.apps) };
  const destinations = { body: { destinations: [{ app: { guid: guids.apps } }] } };
  const upload = new FormData();
  upload.set('resources', '[]');
  const changes = new FormData();
  changes.set('base', JSON.stringify({ guid: guids.packages, checksum: '0'.repeat(64), without: [] }));
  return {
    ...LOGINS,
    'POST /Users': { body: { userName: 'new', password: 'x' } },
    'PUT /Users/:guid/password': { body: { password: 'x' } },
    'POST /oauth/clients': { body: { client_id: 'new', client_secret: 'x' } },
    'POST /v3/organizations': { body: { name: 'new' } },
    'PATCH /v3/organizations/:guid/relationships/default_isolation_segment': { body: { data: null } },
    'POST /v3/spaces': { body: { name: 'new', relationships: { organization: to(guids.organizations) } } },
    'PATCH /v3/spaces/:guid/features/:name': { body: { enabled: true } },
    'PATCH /v3/spaces/:guid/relationships/isolation_segment': { body: { data: null } },
    'POST /v3/users': { body: { guid: 'new' } },
    'POST /v3/roles': {
      body: {
        type: 'organization_auditor',
        relationships: { organization: to(guids.organizations), user: to(guids.users) },
      },
    },
    'POST /v3/domains': { body: { name: 'new.example', relationships: { organization: to(guids.organizations) } } },
    'POST /v3/domains/:guid/relationships/shared_organizations': { body: { data: [] } },
    'POST /v3/organization_quotas': { body: { name: 'new' } },
    'PATCH /v3/organization_quotas/:guid': { body: { name: 'new' } },
    'POST /v3/organization_quotas/:guid/relationships/organizations': { body: { data: [] } },
    'POST /v3/space_quotas': {
      body: { name: 'new', relationships: { organization: to(guids.organizations) } },
    },
    'PATCH /v3/space_quotas/:guid': { body: { name: 'new' } },
    'POST /v3/space_quotas/:guid/relationships/spaces': { body: { data: [] } },
    'POST /v3/security_groups': { body: { name: 'new' } },
    'PATCH /v3/security_groups/:guid': { body: { name: 'new' } },
    'POST /v3/security_groups/:guid/relationships/running_spaces': { body: { data: [{ guid: guids.spaces }] } },
    'POST /v3/security_groups/:guid/relationships/staging_spaces': { body: { data: [{ guid: guids.spaces }] } },
    ...requestsBesideCf(guids),
    'POST /v3/buildpacks': { body: { name: 'new' } },
    'POST /v3/buildpacks/:guid/upload': { form: upload },
    'POST /v3/isolation_segments': { body: { name: 'new' } },
    'POST /v3/isolation_segments/:guid/relationships/organizations': { body: { data: [] } },
    'PATCH /v3/feature_flags/:name': { body: { enabled: true } },
    'PATCH /v3/environment_variable_groups/:name': { body: { var: { A: 'b' } } },
    'POST /v3/stacks': { body: { name: 'new' } },
    'POST /v3/apps': { body: { name: 'new', relationships: { space: to(guids.spaces) } } },
    'PATCH /v3/apps/:guid/relationships/current_droplet': { body: to(guids.droplets) },
    'PATCH /v3/apps/:guid/environment_variables': { body: { var: { A: 'b' } } },
    'PATCH /v3/apps/:guid/features/:name': { body: { enabled: true } },
    'POST /v3/processes/:guid/actions/scale': { body: { instances: 2 } },
    'POST /v3/apps/:app/processes/:type/actions/scale': { body: { instances: 2 } },
    'POST /v3/routes': { body: { host: 'new', relationships: { space: to(guids.spaces), domain: to(guids.domains) } } },
    'POST /v3/routes/:guid/destinations': destinations,
    'PATCH /v3/routes/:guid/destinations': destinations,
    'PATCH /v3/routes/:guid/destinations/:destination': { body: { protocol: 'http1' } },
    'POST /v3/spaces/:guid/actions/apply_manifest': { yaml: 'applications: [{ name: new }]' },
    'POST /v3/spaces/:guid/manifest_diff': { yaml: 'applications: [{ name: new }]' },
    'POST /v3/packages': { body: { type: 'bits', relationships: app } },
    'POST /v3/packages/:guid/upload': { form: upload },
    'POST /v3/packages/:guid/upload_changes': { form: changes },
    'POST /v3/droplets': { body: { relationships: app } },
    'POST /v3/apps/:guid/sidecars': { body: { name: 'new', command: 'true', process_types: ['web'] } },
    'PATCH /v3/sidecars/:guid': { body: { command: 'false' } },
    'POST /v3/apps/:guid/tasks': { body: { command: 'true' } },
    'POST /v3/deployments': { body: { relationships: app, droplet: { guid: guids.droplets } } },
    'POST /v3/builds': { body: { package: { guid: guids.packages } } },
    'POST /v3/service_instances': {
      body: { type: 'user-provided', name: 'new', relationships: { space: to(guids.spaces) } },
    },
    'POST /v3/service_instances/:guid/relationships/shared_spaces': { body: { data: [] } },
    'POST /v3/service_credential_bindings': {
      body: { type: 'app', relationships: { ...app, service_instance: to(guids.spareInstance) } },
    },
    'POST /v3/resource_matches': { body: { resources: [{ checksum: { value: '0'.repeat(40) }, size_in_bytes: 1 }] } },
  };
}
