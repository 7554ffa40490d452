/** Parts of an app that are not built yet: there is none of them, and making one says what to do instead. See `unbuilt/endpoints.ts`. */
import { UnprocessableError } from '@cupola/model/errors';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageBody } from '../pages/page.ts';
import { APP_MANAGERS, seenApp, writableApp } from './find-app.ts';

const NONE_OF: ReadonlyArray<{ part: string; summary: string; refusal: string | null }> = [
  {
    part: 'sidecars',
    summary: 'Sidecars of an app: none',
    refusal: 'Sidecars are not supported yet. Start the second program from the start command.',
  },
];

const clearCache = endpoint({
  method: 'POST',
  path: '/v3/apps/:guid/actions/clear_buildpack_cache',
  summary: 'Throw away what the builds of an app keep for the next one: not built yet',
  handle: async ({ store }, { actor, params }) => {
    await writableApp(store.read, actor, params.guid ?? '', APP_MANAGERS);
    throw new UnprocessableError(
      'Clearing the staging cache of an app is not supported yet. Delete the app and push it again: the new one begins with an empty cache.',
    );
  },
});

const listed: Endpoint[] = NONE_OF.flatMap(({ part, summary, refusal }) => {
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

export const unbuiltOfAppEndpoints: Endpoint[] = [...listed, clearCache];
