/**
 * Push events of forges. A developer of the app sets one up and gets an address and a secret; the forge asks that address. Nothing of an event is trusted but
 * that the secret's owner sent it, once: which repository, which branch and with which login is the developer's word, and it is deployed as that user.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { gitRemote } from '@cupola/contract/git-remote';
import { forgePush, gitWebhook, madeGitWebhook, putGitWebhook } from '@cupola/contract/v3/git-webhook';
import { ForbiddenError, NotFoundError, UnavailableError } from '@cupola/model/errors';
import type { GitWebhooksTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { z } from 'zod';
import type { Actor } from '../../access/actor.ts';
import { writableApp } from '../../apps/find-app.ts';
import { logApi } from '../../apps/log-line.ts';
import type { ApiDeps } from '../../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../../http/endpoint.ts';
import { isoTime } from '../../http/iso-time.ts';
import { readBytes } from '../../http/read-body.ts';
import { actorOfUser } from '../../uaa/authenticate.ts';
import { readSettings } from '../target.ts';
import { MAY_NOT_PUSH, pusherOf } from './orders.ts';
import { type Delivery, provenDelivery } from './signatures.ts';

/** GitHub's own limit is 25 MB, of a push with thousands of commits; what is larger than this is refused, and the next push deploys (ours). */
const BODY_MAX_BYTES = 8 * 1024 * 1024;
/** Forges send a delivery again for days (GitHub: three, by hand). An older one names a commit that is not the branch's last any more. */
const DELIVERIES_KEPT_MS = 14 * 24 * 3_600_000;
const SECRET_BYTES = 32;

type WebhookRow = Selectable<GitWebhooksTable>;
const PATH = '/v3/apps/:guid/git_webhook';

const said = (status: number, text: string): Reply => ({ status, body: `${text}\n`, contentType: 'text/plain' });

async function present(deps: ApiDeps, row: WebhookRow): Promise<z.input<typeof gitWebhook>> {
  const user = await actorOfUser(deps.store.read, row.user_guid);
  return {
    url: `${deps.config.publicUrl}/webhooks/git/${row.guid}`,
    repository_url: row.repository_url,
    branch: row.branch,
    has_login: row.login_sealed !== null,
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

async function receive(deps: ApiDeps, request: ApiRequest<never, never>): Promise<Reply> {
  const guid = request.params.guid ?? '';
  const row = await deps.store.read.selectFrom('git_webhooks').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (row === undefined) return said(404, 'There is no such webhook. Make one: cupola git:webhook APP --repo URL');
  const body = await readBytes(request.raw.request, BODY_MAX_BYTES);
  if (body === null) return said(413, 'The delivery is too large. The next push deploys; or push now: cupola push');
  const secret = deps.sealer.open(row.secret_sealed);
  const { headers } = request.raw.request;
  const delivery = provenDelivery({ headers, body, secret, now: deps.now() });
  if (delivery === null)
    return said(
      401,
      'The signature is missing, wrong or old. Give the forge the secret that cupola git:webhook has printed.',
    );
  if (delivery.event !== 'push')
    return said(200, `Heard. A ${delivery.event || 'delivery without an event'} deploys nothing.`);
  const push = readPush(headers['content-type'] ?? '', body);
  if (push === null) return said(422, 'That is no push event that can be read: send it as JSON.');
  const pushed = push.ref.replace(/^refs\/heads\//, '');
  if (push.ref !== `refs/heads/${row.branch}`) return said(200, `${pushed} deploys nothing: ${row.branch} does.`);
  if (/^0+$/.test(push.after)) return said(200, `${pushed} was removed there; what runs goes on.`);
  return deploy(deps, { row, delivery, commit: push.after });
}

function readPush(contentType: string, body: Buffer): z.infer<typeof forgePush> | null {
  const text = contentType.startsWith('application/x-www-form-urlencoded')
    ? (new URLSearchParams(body.toString('utf8')).get('payload') ?? '')
    : body.toString('utf8');
  try {
    return forgePush.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The delivery, and what it orders, together; null when it has come before. Two at once are one. */
async function remember(
  { store, gitOrders }: ApiDeps,
  row: WebhookRow,
  { delivery, commit }: { delivery: Delivery; commit: string },
) {
  const marks = delivery.marks.map(mark => `${row.guid} ${mark}`);
  return store.mutate(async mutation => {
    const { db, now } = mutation;
    await db
      .deleteFrom('git_deliveries')
      .where('seen_at', '<', now - DELIVERIES_KEPT_MS)
      .execute();
    const known = await db.selectFrom('git_deliveries').select('guid').where('guid', 'in', marks).execute();
    if (known.length > 0) return null;
    await db
      .insertInto('git_deliveries')
      .values(marks.map(mark => ({ guid: mark, seen_at: now })))
      .execute();
    return gitOrders.store(mutation, row, { commit, forge: delivery.forge });
  });
}

/** 202 once it is stored: it is deployed then, whatever happens to this API. */
async function deploy(
  deps: ApiDeps,
  { row, delivery, commit }: { row: WebhookRow; delivery: Delivery; commit: string },
): Promise<Reply> {
  if (deps.git === undefined) throw new UnavailableError('This platform has no part that runs git.');
  try {
    const { place } = await pusherOf(deps, row);
    const order = await remember(deps, row, { delivery, commit });
    if (order === null)
      return said(409, 'This delivery has come before, and counts once. To deploy again, push again.');
    deps.gitOrders.work(order);
    return said(202, `${row.branch} ${commit.slice(0, 8)} is being deployed: cupola logs ${place.app}`);
  } catch (error) {
    if (!(error instanceof ForbiddenError || error instanceof NotFoundError)) throw error;
    await logApi(deps, row.app_guid, `git: ${MAY_NOT_PUSH}`);
    return said(403, MAY_NOT_PUSH);
  }
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
      const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
      const row = await deps.store.mutate(async ({ db, now, ...mutation }) => {
        const app = await writableApp(db, actor, guid);
        const settings = await readSettings(db, guid);
        const made = {
          ...{ guid: randomUUID(), app_guid: guid, user_guid: actor.guid, created_at: now },
          repository_url: gitRemote(body.repository_url)?.url ?? '',
          branch: body.branch ?? settings.branch ?? 'main',
          secret_sealed: deps.sealer.seal(secret),
          login_sealed: body.login === undefined ? null : deps.sealer.seal(JSON.stringify(body.login)),
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
    summary: 'Takes push events of GitHub, GitLab, Gitea and Forgejo, signed with the secret of the webhook',
    auth: 'anyone',
    body: 'stream',
    handle: (deps, request) => receive(deps, request as unknown as ApiRequest<never, never>),
  }),
];
