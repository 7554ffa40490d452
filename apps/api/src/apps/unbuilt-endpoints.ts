/** Parts of an app that are not built yet: there is none of them, and making one says what to do instead. See `unbuilt/endpoints.ts`. */
import { UnprocessableError } from '@cupola/model/errors';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageBody } from '../pages/page.ts';
import { seenApp, writableApp } from './find-app.ts';

const NONE_OF: ReadonlyArray<{ part: string; summary: string; refusal: string | null }> = [
  { part: 'revisions', summary: 'Revisions of an app: none', refusal: null },
  { part: 'revisions/deployed', summary: 'Deployed revisions of an app: none', refusal: null },
  {
    part: 'tasks',
    summary: 'Tasks of an app: none',
    refusal: 'Tasks are not supported yet. Run the command in a process type of its own, scaled to one instance.',
  },
  {
    part: 'sidecars',
    summary: 'Sidecars of an app: none',
    refusal: 'Sidecars are not supported yet. Start the second program from the start command.',
  },
];

export const unbuiltOfAppEndpoints: Endpoint[] = NONE_OF.flatMap(({ part, summary, refusal }) => {
  const path = `/v3/apps/:guid/${part}`;
  const list = endpoint({
    method: 'GET',
    path,
    summary,
    handle: async ({ store }, request) => {
      await seenApp(store.read, request.actor, request.params.guid ?? '');
      const ask = { page: 1, perPage: 50, offset: 0 };
      return { status: 200, body: pageBody(request, ask, { total: 0, resources: [] }) };
    },
  });
  if (refusal === null) return [list];
  const make = endpoint({
    method: 'POST',
    path,
    body: 'json',
    summary: `${summary}, and none can be made`,
    handle: async ({ store }, { actor, params }) => {
      await writableApp(store.read, actor, params.guid ?? '');
      throw new UnprocessableError(refusal);
    },
  });
  return [list, make];
});
