/**
 * Push events of forges. A developer of the app sets one up and gets an address and a secret; the forge asks that address. Nothing of an event is trusted but
 * that the secret's owner sent it, once: which repository, which branch and with which login is the developer's word, and it is deployed as that user.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { makeSshKey } from '@cupola/certificates/ssh-key';
import { gitRemote, isSshRemote } from '@cupola/contract/git-remote';
import { gitWebhook, madeGitWebhook, putGitWebhook } from '@cupola/contract/v3/git-webhook';
import { ForbiddenError, NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { GitWebhooksTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { z } from 'zod';
import type { Actor } from '../../access/actor.ts';
import { writableApp } from '../../apps/find-app.ts';
import type { ApiDeps } from '../../deps.ts';
import { type ApiRequest, type Endpoint, endpoint } from '../../http/endpoint.ts';
import { isoTime } from '../../http/iso-time.ts';
import { actorOfUser } from '../../uaa/authenticate.ts';
import { readSettings } from '../target.ts';
import { receive } from './receive.ts';

const SECRET_BYTES = 32;

type WebhookRow = Selectable<GitWebhooksTable>;
const PATH = '/v3/apps/:guid/git_webhook';

async function present(deps: ApiDeps, row: WebhookRow): Promise<z.input<typeof gitWebhook>> {
  const user = await actorOfUser(deps.store.read, row.user_guid);
  return {
    url: `${deps.config.publicUrl}/webhooks/git/${row.guid}`,
    repository_url: row.repository_url,
    branch: row.branch,
    has_login: row.login_sealed !== null,
    deploy_key: row.deploy_key,
    known_hosts: row.known_hosts,
    user: user?.name ?? null,
    created_at: isoTime(row.created_at),
  };
}

/** @throws NotFoundError */
async function webhookOf({ store }: ApiDeps, actor: Actor, appGuid: string): Promise<WebhookRow> {
  await writableApp(store.read, actor, appGuid);
  const row = await store.read
    .selectFrom('git_webhooks')
    .selectAll()
    .where('app_guid', '=', appGuid)
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError('Git webhook');
  return row;
}

export const gitWebhookEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: PATH,
    summary: 'What of a forge deploys an app (an addition to Cloud Foundry)',
    responseSchema: gitWebhook,
    handle: async (deps, { actor, params: { guid = '' } }) => ({
      status: 200,
      body: await present(deps, await webhookOf(deps, actor, guid)),
    }),
  }),
  endpoint({
    method: 'PUT',
    path: PATH,
    summary: 'Let push events of a forge deploy an app, as the user who asks; a new address and secret each time',
    bodySchema: putGitWebhook,
    responseSchema: madeGitWebhook,
    handle: async (deps, { actor, body, params: { guid = '' } }) => {
      if (actor.kind !== 'user') throw new ForbiddenError();
      const url = gitRemote(body.repository_url)?.url ?? '';
      if (isSshRemote(url) && body.login !== undefined)
        throw new UnprocessableError('A login is for an https address: over SSH the webhook has a key of its own.');
      if (!isSshRemote(url) && body.known_hosts !== undefined)
        throw new UnprocessableError('Known hosts are for an address of SSH, like git@github.com:team/shop.git.');
      const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
      const row = await deps.store.mutate(async ({ db, now, ...mutation }) => {
        const app = await writableApp(db, actor, guid);
        const settings = await readSettings(db, guid);
        // One word: the name of an app may be several lines.
        const key = isSshRemote(url) ? makeSshKey(`cupola-${app.name.replaceAll(/[^\w.-]+/g, '-')}`) : null;
        const made = {
          ...{ guid: randomUUID(), app_guid: guid, user_guid: actor.guid, created_at: now },
          repository_url: url,
          branch: body.branch ?? settings.branch ?? 'main',
          secret_sealed: deps.sealer.seal(secret),
          login_sealed: body.login === undefined ? null : deps.sealer.seal(JSON.stringify(body.login)),
          deploy_key_sealed: key === null ? null : deps.sealer.seal(key.private),
          deploy_key: key?.line ?? null,
          known_hosts: body.known_hosts ?? null,
        };
        await db.deleteFrom('git_webhooks').where('app_guid', '=', guid).execute();
        await db.insertInto('git_webhooks').values(made).execute();
        mutation.changed('app', guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
        return made;
      });
      return { status: 200, body: { ...(await present(deps, row)), secret } };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: PATH,
    summary: 'Deploy nothing by push events any more',
    handle: async (deps, { actor, params: { guid = '' } }) => {
      await webhookOf(deps, actor, guid);
      await deps.store.mutate(({ db }) => db.deleteFrom('git_webhooks').where('app_guid', '=', guid).execute());
      return { status: 204 };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/webhooks/git/:guid',
    summary:
      'Takes push and pull request events of GitHub, GitLab, Gitea and Forgejo, signed with the secret of the webhook',
    auth: 'anyone',
    body: 'stream',
    handle: (deps, request) => receive(deps, request as unknown as ApiRequest<never, never>),
  }),
];
