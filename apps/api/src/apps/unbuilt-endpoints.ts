/** What of an app is not built yet, and says what to do instead. See `unbuilt/endpoints.ts`. */
import { UnprocessableError } from '@cupola/model/errors';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { APP_MANAGERS, writableApp } from './find-app.ts';

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

export const unbuiltOfAppEndpoints: Endpoint[] = [clearCache];
