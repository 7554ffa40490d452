/** Throwing away what builds keep for the next one: an app's developers for it, an admin for all. Complete at once: see `cache-clearings.ts`. */
import { requireAdmin } from '../access/access.ts';
import { APP_MANAGERS, writableApp } from '../apps/find-app.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { ALL_APPS, clearCaches } from './cache-clearings.ts';

export const cacheEndpoints: Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v3/apps/:guid/actions/clear_buildpack_cache',
    summary: 'Throw away what the builds of an app keep for the next one',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const app = await writableApp(mutation.db, actor, params.guid ?? '', APP_MANAGERS);
        await clearCaches(mutation, app.guid);
        return finishedJob(mutation, { operation: 'app.clear_buildpack_cache', resourceGuid: app.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/admin/actions/clear_buildpack_cache',
    summary: 'Throw away what the builds of all apps keep for the next one',
    handle: async (deps, { actor }) => {
      requireAdmin(actor);
      const job = await deps.store.mutate(async mutation => {
        await clearCaches(mutation, ALL_APPS);
        return finishedJob(mutation, { operation: 'admin.clear_buildpack_cache', resourceGuid: null, actor });
      });
      return accepted(deps, job);
    },
  }),
];
