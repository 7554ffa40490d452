/** Network policies, as the policy server of Cloud Foundry has them (cf-networking-release, policy-server/handlers): its paths, bodies and words. */
import { type NetworkPolicyBody, networkPolicies, networkPoliciesAnswer } from '@cupola/contract/v3/network-policy';
import { InvalidRequestError } from '@cupola/model/errors';
import type { NetworkPoliciesTable } from '@cupola/store/schema';
import { z } from 'zod';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { commaList } from '../pages/page.ts';
import { createPolicies, deletePolicies, ownedApps } from './change-policies.ts';
import { isNetworkShared, NO_POLICIES } from './shared-network.ts';

const BASE = '/networking/v1/external/policies';

const query = z.object({
  /** At either end. */
  id: commaList.exactOptional(),
  source_id: commaList.exactOptional(),
  dest_id: commaList.exactOptional(),
});

function isAsked(policy: NetworkPoliciesTable, { id, source_id, dest_id }: z.infer<typeof query>): boolean {
  const { source_app_guid: source, destination_app_guid: destination } = policy;
  if (id !== undefined) return id.includes(source) || id.includes(destination);
  return (source_id?.includes(source) ?? true) && (dest_id?.includes(destination) ?? true);
}

const present = (policy: NetworkPoliciesTable): NetworkPolicyBody => ({
  source: { id: policy.source_app_guid },
  destination: {
    id: policy.destination_app_guid,
    protocol: policy.protocol,
    ports: { start: policy.first_port, end: policy.last_port },
  },
});

/** @throws InvalidRequestError with the first thing that is wrong. */
function readPolicies(body: unknown): NetworkPolicyBody[] {
  const parsed = networkPolicies.safeParse(body);
  if (parsed.success) return parsed.data.policies;
  throw new InvalidRequestError(`mapper: validate policies: ${parsed.error.issues[0]?.message}`);
}

export const networkPolicyEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: BASE,
    summary: 'Network policies between apps of spaces where one is developer or manager',
    failures: 'networking',
    query,
    responseSchema: networkPoliciesAnswer,
    handle: async ({ store }, { actor, query: asked }) => {
      const rows = await store.read.selectFrom('network_policies').selectAll().orderBy('created_at').execute();
      const wanted = rows.filter(row => isAsked(row, asked));
      const guids = wanted.flatMap(row => [row.source_app_guid, row.destination_app_guid]);
      const owned = new Set((await ownedApps(store.read, actor, guids)).map(({ guid }) => guid));
      const policies = wanted
        .filter(row => owned.has(row.source_app_guid) && owned.has(row.destination_app_guid))
        .map(present);
      return { status: 200, body: { total_policies: policies.length, policies } };
    },
  }),
  endpoint({
    method: 'POST',
    path: BASE,
    summary: 'Let instances of one app reach those of another',
    failures: 'networking',
    body: 'json',
    handle: async (deps, { actor, body }) => {
      const policies = readPolicies(body);
      if (await isNetworkShared(deps)) throw new InvalidRequestError(NO_POLICIES);
      await deps.store.mutate(mutation => createPolicies(mutation, actor, policies));
      return { status: 200, body: {} };
    },
  }),
  endpoint({
    method: 'POST',
    path: `${BASE}/delete`,
    summary: 'Delete network policies',
    failures: 'networking',
    body: 'json',
    handle: async ({ store }, { actor, body }) => {
      const policies = readPolicies(body);
      await store.mutate(mutation => deletePolicies(mutation, actor, policies));
      return { status: 200, body: {} };
    },
  }),
];
