/** Every endpoint of the public API. Routes, the OpenAPI document and the table of who may do what are made from this list. */

import { appEndpoints } from './apps/endpoints.ts';
import { buildpackEndpoints } from './buildpacks/endpoints.ts';
import { cacheEndpoints } from './builds/cache-endpoints.ts';
import { buildEndpoints } from './builds/endpoints.ts';
import { clusterEndpoints } from './cluster/endpoints.ts';
import { deploymentEndpoints } from './deployments/endpoints.ts';
import { developmentEndpoints } from './development/endpoints.ts';
import { domainEndpoints } from './domains/endpoints.ts';
import { dropletEndpoints } from './droplets/endpoints.ts';
import { environmentGroupEndpoints } from './environment-groups/endpoints.ts';
import { eventEndpoints } from './events/endpoints.ts';
import { figureEndpoints } from './figures/endpoints.ts';
import { flagEndpoints } from './flags/endpoints.ts';
import { gitEndpoints } from './git/endpoints.ts';
import type { Endpoint } from './http/endpoint.ts';
import { infoEndpoints } from './info/endpoints.ts';
import { isolationSegmentEndpoints } from './isolation-segments/endpoints.ts';
import { jobEndpoints } from './jobs/endpoints.ts';
import { logCacheEndpoints } from './logcache/endpoints.ts';
import { manifestEndpoints } from './manifests/endpoints.ts';
import { networkPolicyEndpoints } from './network-policies/endpoints.ts';
import { openApiEndpoints } from './openapi/endpoints.ts';
import { organizationEndpoints } from './organizations/endpoints.ts';
import { packageEndpoints } from './packages/endpoints.ts';
import { processEndpoints } from './processes/endpoints.ts';
import { organizationQuotaEndpoints } from './quotas/endpoints.ts';
import { registryEndpoints } from './registry/endpoints.ts';
import { resourceMatchEndpoints } from './resource-matches/endpoints.ts';
import { revisionEndpoints } from './revisions/endpoints.ts';
import { roleEndpoints } from './roles/endpoints.ts';
import { routeEndpoints } from './routes/endpoints.ts';
import { securityGroupEndpoints } from './security-groups/endpoints.ts';
import { serviceEndpoints } from './services/endpoints.ts';
import { sidecarEndpoints } from './sidecars/endpoints.ts';
import { spaceQuotaEndpoints } from './space-quotas/endpoints.ts';
import { spaceEndpoints } from './spaces/endpoints.ts';
import { stackEndpoints } from './stacks/endpoints.ts';
import { streamEndpoints } from './stream/endpoints.ts';
import { taskEndpoints } from './tasks/endpoints.ts';
import { clientEndpoints } from './uaa/clients.ts';
import { uaaEndpoints } from './uaa/endpoints.ts';
import { scimEndpoints } from './uaa/scim.ts';
import { unbuiltEndpoints } from './unbuilt/endpoints.ts';
import { usageEventEndpoints } from './usage-events/endpoints.ts';
import { usageSummaryEndpoints } from './usage-summaries/endpoints.ts';
import { userEndpoints } from './users/endpoints.ts';

const built: readonly Endpoint[] = [
  ...infoEndpoints,
  ...uaaEndpoints,
  ...scimEndpoints,
  ...clientEndpoints,
  ...organizationEndpoints,
  ...spaceEndpoints,
  ...userEndpoints,
  ...roleEndpoints,
  ...domainEndpoints,
  ...organizationQuotaEndpoints,
  ...spaceQuotaEndpoints,
  ...usageSummaryEndpoints,
  ...usageEventEndpoints,
  ...flagEndpoints,
  ...environmentGroupEndpoints,
  ...buildpackEndpoints,
  ...stackEndpoints,
  ...eventEndpoints,
  ...streamEndpoints,
  ...figureEndpoints,
  ...jobEndpoints,
  ...appEndpoints,
  ...processEndpoints,
  ...deploymentEndpoints,
  ...revisionEndpoints,
  ...taskEndpoints,
  ...sidecarEndpoints,
  ...routeEndpoints,
  ...manifestEndpoints,
  ...buildEndpoints,
  ...cacheEndpoints,
  ...dropletEndpoints,
  ...packageEndpoints,
  ...registryEndpoints,
  ...gitEndpoints,
  ...developmentEndpoints,
  ...securityGroupEndpoints,
  ...networkPolicyEndpoints,
  ...isolationSegmentEndpoints,
  ...clusterEndpoints,
  ...serviceEndpoints,
  ...resourceMatchEndpoints,
  ...logCacheEndpoints,
  ...unbuiltEndpoints,
];

export const endpoints: readonly Endpoint[] = [...built, ...openApiEndpoints(built)];
