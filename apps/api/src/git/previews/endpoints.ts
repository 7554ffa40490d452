/** Previews of an app: which there are, and the two steps that a push by git asks for. */
import { gitPreview, gitPreviews, putGitPreview } from '@cupola/contract/v3/git';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { GitPreviewsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { z } from 'zod';
import { endApp } from '../../apps/end-app.ts';
import { writableApp } from '../../apps/find-app.ts';
import { logApi } from '../../apps/log-line.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { isoTime } from '../../http/iso-time.ts';
import { readSettings } from '../target.ts';
import { isOfFork, keepPreview, previewsOf } from './previews.ts';

const PATH = '/v3/apps/:guid/git_previews';

function present(row: Selectable<GitPreviewsTable> & { name: string }): z.input<typeof gitPreview> {
  return {
    ...{ guid: row.app_guid, name: row.name, source: row.source, is_fork: isOfFork(row) },
    ...{ expires_at: isoTime(row.expires_at), created_at: isoTime(row.created_at) },
  };
}

export const gitPreviewEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: PATH,
    summary: 'Previews of an app (an addition to Cloud Foundry)',
    responseSchema: gitPreviews,
    handle: async ({ store }, { actor, params: { guid = '' } }) => {
      await writableApp(store.read, actor, guid);
      return { status: 200, body: { resources: (await previewsOf(store.read, guid)).map(present) } };
    },
  }),
  endpoint({
    method: 'PUT',
    path: PATH,
    summary: 'Make the preview of a branch, or let it live on',
    bodySchema: putGitPreview,
    responseSchema: gitPreview,
    handle: async (deps, { actor, body, params: { guid = '' } }) => {
      const made = await deps.store.mutate(async mutation => {
        const of = await writableApp(mutation.db, actor, guid);
        const { branch } = await readSettings(mutation.db, guid);
        if (body.branch === branch) throw new UnprocessableError(`${branch} is what ${of.name} itself deploys.`);
        return keepPreview(mutation, deps, { actor, of, source: body.branch, commit: null });
      });
      return { status: 200, body: present({ ...made.row, name: made.app.name }) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: `${PATH}/:preview`,
    summary: 'Delete a preview: its app, and the routes that lead to nothing else',
    handle: async (deps, { actor, params: { guid = '', preview = '' } }) => {
      await deps.store.mutate(async mutation => {
        await writableApp(mutation.db, actor, guid);
        const known = (await previewsOf(mutation.db, guid)).find(({ app_guid }) => app_guid === preview);
        if (known === undefined) throw new NotFoundError('Preview');
        await endApp(mutation, preview, actor);
      });
      await logApi(deps, preview, `Deleted app with guid ${preview}`);
      return { status: 204 };
    },
  }),
];
