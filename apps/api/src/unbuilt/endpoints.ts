/**
 * What clients read that is not built yet: lists are there and empty, single things are not, and writes say so in a sentence (cf-api-contract.md 2: never
 * 404 for a collection, never 501). What gets built moves from this table to a folder of its own.
 */
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { pageBody } from '../pages/page.ts';

interface Unbuilt {
  /** Under `/v3`. */
  collection: string;
  /** CF's name, as in `Task not found`. */
  resource: string;
  /** What who wants to make one is told; null where nobody makes one by a request. */
  sentence: string | null;
  /** The catalogue may be read before a login (`cf marketplace`). */
  auth?: Endpoint['auth'];
}

const ROUTE_SERVICES = 'Support for route services is disabled.';
const BROKERS = 'Service brokers are not supported yet, so nothing can be offered in the marketplace.';

const UNBUILT: readonly Unbuilt[] = [
  { collection: 'service_route_bindings', resource: 'Service route binding', sentence: ROUTE_SERVICES },
  { collection: 'service_brokers', resource: 'Service broker', sentence: BROKERS },
  { collection: 'service_offerings', resource: 'Service offering', sentence: null, auth: 'anyone' },
  { collection: 'service_plans', resource: 'Service plan', sentence: null, auth: 'anyone' },
];

/** Any filter leaves nothing of nothing: none is looked at. */
function emptyPage(request: ApiRequest): Reply {
  return { status: 200, body: pageBody(request, { page: 1, perPage: 50, offset: 0 }, { total: 0, resources: [] }) };
}

function endpointsOf({ collection, resource, sentence, auth = 'user' }: Unbuilt): Endpoint[] {
  const path = `/v3/${collection}`;
  const absent = (method: 'GET' | 'PATCH' | 'DELETE'): Endpoint =>
    endpoint({
      method,
      path: `${path}/:guid`,
      auth: method === 'GET' ? auth : 'user',
      summary: `${resource}: not built yet`,
      handle: async () => {
        throw new NotFoundError(resource);
      },
    });
  const list = endpoint({
    method: 'GET',
    path,
    auth,
    summary: `${resource}: not built yet, so there is none`,
    handle: async (_deps, request) => emptyPage(request),
  });
  if (sentence === null) return [list, absent('GET'), absent('PATCH'), absent('DELETE')];
  const make = endpoint({
    method: 'POST',
    path,
    summary: `${resource}: not built yet`,
    handle: async () => {
      throw new UnprocessableError(sentence);
    },
  });
  return [list, make, absent('GET'), absent('PATCH'), absent('DELETE')];
}

const FIRST_FORM =
  'The first form of network policies is not supported: use /networking/v1/external/policies, with a range of ports.';

/** Container networking has a form of its own for failures. What clients use now is in `network-policies/`. */
const networkEndpoints: Endpoint[] = (
  [
    ['GET', 'policies'],
    ['POST', 'policies'],
    ['POST', 'policies/delete'],
  ] as const
).map(([method, path]) =>
  endpoint({
    method,
    path: `/networking/v0/external/${path}`,
    summary: 'Network policies, in their first form: not supported',
    handle: async () => ({ status: 400, body: { error: FIRST_FORM } }),
  }),
);

const routingEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/routing/v1/router_groups',
    summary: 'Router groups of TCP routes: none',
    handle: async (_deps, { query }) => {
      const name = query.name;
      if (name === undefined) return { status: 200, body: [] };
      const message = `Router Group '${name}' not found`;
      return { status: 404, body: { name: 'ResourceNotFoundError', message } };
    },
  }),
];

export const unbuiltEndpoints: Endpoint[] = [...UNBUILT.flatMap(endpointsOf), ...networkEndpoints, ...routingEndpoints];
