/** What the platform says of itself, to anyone: `cf api` and `cf login` begin here (CF: root_controller.rb, info_presenter.rb). */
import type { ApiConfig, ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';

/** The v3 API that we serve whole: lists of what is not built are empty, writes say so (cf-api-contract.md 2). */
export const API_VERSION = '3.211.0';
/** The one of Open Service Broker that CF of that version speaks. */
const BROKER_API_VERSION = '2.17';
const DESCRIPTION = 'Cloud Foundry in one command';

/** Collections of `/v3`, as its directory lists them. */
const COLLECTIONS =
  `app_usage_events apps audit_events buildpacks builds deployments domains droplets environment_variable_groups
  feature_flags info isolation_segments organizations organization_quotas packages processes resource_matches roles
  routes security_groups service_brokers service_instances service_credential_bindings service_offerings service_plans
  service_route_bindings service_usage_events spaces space_quotas stacks tasks users`.split(/\s+/);

function rootLinks({ publicUrl }: ApiConfig) {
  const href = (path = ''): { href: string } => ({ href: `${publicUrl}${path}` });
  return {
    self: href(),
    cloud_controller_v3: { ...href('/v3'), meta: { version: API_VERSION } },
    network_policy_v0: href('/networking/v0/external'),
    network_policy_v1: href('/networking/v1/external'),
    login: href(),
    uaa: href(),
    credhub: null,
    routing: href('/routing'),
    logging: null,
    // Clients put a path of their own on it: a bare origin.
    log_cache: href(),
    log_stream: null,
    app_ssh: null,
  };
}

function info({
  config: { publicUrl, appsScheme, appsPort, appsDomain, version },
  git,
}: Pick<ApiDeps, 'config' | 'git'>) {
  return {
    build: version,
    cli_version: { minimum: '', recommended: '' },
    custom: {
      apps_domain: appsDomain,
      apps_port: appsPort,
      apps_scheme: appsScheme,
      git_ssh_port: git?.sshPort ?? null,
    },
    description: DESCRIPTION,
    name: 'Cupola',
    version: 1,
    osbapi_version: BROKER_API_VERSION,
    rate_limits: { enabled: false, general_limit: 0, reset_interval_in_minutes: 0 },
    links: { self: { href: `${publicUrl}/v3/info` }, support: { href: '' } },
  };
}

/** As a Cloud Controller answers that has its v2 API switched off. */
function infoV2({ publicUrl, version }: ApiConfig) {
  return {
    name: 'Cupola',
    build: version,
    support: 'CF API v2 is disabled',
    version: 1,
    description: DESCRIPTION,
    authorization_endpoint: publicUrl,
    token_endpoint: publicUrl,
    min_cli_version: null,
    min_recommended_cli_version: null,
    app_ssh_endpoint: '',
    app_ssh_host_key_fingerprint: '',
    app_ssh_oauth_client: 'ssh-proxy',
    doppler_logging_endpoint: null,
    api_version: '',
    osbapi_version: BROKER_API_VERSION,
    routing_endpoint: `${publicUrl}/routing`,
  };
}

export const infoEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/',
    auth: 'anyone',
    summary: 'Where the other parts of the platform are',
    handle: async ({ config }) => ({ status: 200, body: { links: rootLinks(config) } }),
  }),
  endpoint({
    method: 'GET',
    path: '/v3',
    auth: 'anyone',
    summary: 'Collections of the API',
    handle: async ({ config: { publicUrl } }) => ({
      status: 200,
      body: {
        links: {
          self: { href: `${publicUrl}/v3` },
          ...Object.fromEntries(COLLECTIONS.map(name => [name, { href: `${publicUrl}/v3/${name}` }])),
        },
      },
    }),
  }),
  endpoint({
    method: 'GET',
    path: '/v3/info',
    auth: 'anyone',
    summary: 'Name and version of the platform',
    handle: async deps => ({ status: 200, body: info(deps) }),
  }),
  endpoint({
    method: 'GET',
    path: '/v2/info',
    auth: 'anyone',
    summary: 'The same, as clients of the former API read it',
    handle: async ({ config }) => ({ status: 200, body: infoV2(config) }),
  }),
];
