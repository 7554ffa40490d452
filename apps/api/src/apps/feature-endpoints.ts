/** Features of an app, whether ssh reaches it, and what the asker may read of it. */
import { appFeature, appPermissions, sshStatus, updateFeature } from '@cupola/contract/v3/app';
import { pageOf } from '@cupola/contract/v3/parts';
import { NotFoundError } from '@cupola/model/errors';
import { holdsInSpace } from '../access/access.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { fixedPage } from '../pages/fixed-list.ts';
import { updateAppRow } from './change-app.ts';
import { APP_FEATURES, type AppFeature, featureRow, isAppFeature, presentFeature } from './features.ts';
import { APP_MANAGERS, seenApp, writableApp } from './find-app.ts';

function featureName(text: string | undefined): AppFeature {
  if (text === undefined || !isAppFeature(text)) throw new NotFoundError('Feature');
  return text;
}

export const featureEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/features',
    summary: 'Features of an app',
    responseSchema: pageOf(appFeature),
    handle: async ({ store }, request) => {
      const app = await seenApp(store.read, request.actor, request.params.guid ?? '');
      const features = APP_FEATURES.map(name => presentFeature(name, app));
      return fixedPage({ ...request, query: {} }, features);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/features/:name',
    summary: 'One feature of an app',
    responseSchema: appFeature,
    handle: async ({ store }, { actor, params }) => {
      const app = await seenApp(store.read, actor, params.guid ?? '');
      return { status: 200, body: presentFeature(featureName(params.name), app) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/apps/:guid/features/:name',
    summary: 'Switch a feature of an app',
    bodySchema: updateFeature,
    responseSchema: appFeature,
    handle: async ({ store }, { actor, params, body }) => {
      const shown = await store.mutate(async mutation => {
        const guid = params.guid ?? '';
        // Supporters may switch revisions; what opens an app to its users is for developers (CF: UNTRUSTED_APP_FEATURES).
        const also = params.name === 'revisions' ? APP_MANAGERS : [];
        await seenApp(mutation.db, actor, guid);
        const name = featureName(params.name);
        const app = await writableApp(mutation.db, actor, guid, also);
        return presentFeature(name, await updateAppRow(mutation, app, featureRow(name, body.enabled)));
      });
      return { status: 200, body: shown };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/ssh_enabled',
    summary: 'Whether ssh reaches the app: not yet, whatever the feature says',
    responseSchema: sshStatus,
    handle: async ({ store }, { actor, params }) => {
      await seenApp(store.read, actor, params.guid ?? '');
      return { status: 200, body: { enabled: false, reason: 'ssh is disabled globally' } };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/permissions',
    summary: 'What the asker may read of an app',
    responseSchema: appPermissions,
    handle: async ({ store }, { actor, params }) => {
      const app = await seenApp(store.read, actor, params.guid ?? '');
      const mayReadSecrets = holdsInSpace(actor, app.space_guid, ['space_developer']);
      return { status: 200, body: { read_basic_data: true, read_sensitive_data: mayReadSecrets } };
    },
  }),
];
