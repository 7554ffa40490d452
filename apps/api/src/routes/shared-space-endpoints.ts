/** Routes are one space's: sharing and moving them is not built yet. Behind CF's flag `route_sharing`, which is off unless an admin says so. */
import { UnprocessableError } from '@cupola/model/errors';
import { requireFlag } from '../flags/flags.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { seenRoute, writableRoute } from './find-route.ts';

const REFUSALS = [
  { method: 'POST', part: 'relationships/shared_spaces', summary: 'Share a route with spaces: not built yet' },
  { method: 'DELETE', part: 'relationships/shared_spaces/:space', summary: 'Share a route no longer: not built yet' },
  { method: 'PATCH', part: 'relationships/space', summary: 'Move a route to another space: not built yet' },
] as const;
const NO_SHARING =
  'Sharing and moving routes is not supported yet. Delete the route and create it in the space of the app.';

export const sharedSpaceEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/routes/:guid/relationships/shared_spaces',
    summary: 'Spaces that a route is shared with: none',
    handle: async ({ store, config }, { actor, params }) => {
      const route = await seenRoute(store.read, actor, params.guid ?? '');
      const self = `${config.publicUrl}/v3/routes/${route.guid}/relationships/shared_spaces`;
      return { status: 200, body: { data: [], links: { self: { href: self } } } };
    },
  }),
  ...REFUSALS.map(({ method, part, summary }) =>
    endpoint({
      method,
      path: `/v3/routes/:guid/${part}`,
      body: method === 'DELETE' ? 'none' : 'json',
      summary,
      handle: async ({ store }, { actor, params }) => {
        await requireFlag(store.read, actor, 'route_sharing');
        await writableRoute(store.read, actor, params.guid ?? '');
        throw new UnprocessableError(NO_SHARING);
      },
    }),
  ),
];
