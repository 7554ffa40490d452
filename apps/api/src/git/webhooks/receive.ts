/** A delivery of a forge: who sent it, what it means, and that it counts once. What it orders is stored together with the mark that it has come. */
import { ForbiddenError, NotFoundError, UnavailableError, UnprocessableError } from '@cupola/model/errors';
import type { GitOrdersTable, GitWebhooksTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { Actor } from '../../access/actor.ts';
import { endApp } from '../../apps/end-app.ts';
import { findApp } from '../../apps/find-app.ts';
import { logApi } from '../../apps/log-line.ts';
import type { ApiDeps } from '../../deps.ts';
import type { ApiRequest, Reply } from '../../http/endpoint.ts';
import { readBytes } from '../../http/read-body.ts';
import { findPreview, keepPreview } from '../previews/previews.ts';
import { readSettings } from '../target.ts';
import { type ForgeEvent, type Intent, intentOf, readEvent } from './intent.ts';
import { MAY_NOT_PUSH, pusherOf } from './orders.ts';
import { type Delivery, provenDelivery } from './signatures.ts';

/** GitHub's own limit is 25 MB, of a push with thousands of commits; what is larger than this is refused, and the next push deploys (ours). */
const BODY_MAX_BYTES = 8 * 1024 * 1024;
/** Forges send a delivery again for days (GitHub: three, by hand). An older one names a commit that is not the branch's last any more. */
const DELIVERIES_KEPT_MS = 14 * 24 * 3_600_000;
const SHORT = 8;

type WebhookRow = Selectable<GitWebhooksTable>;
type Order = Selectable<GitOrdersTable>;
type Doing = Exclude<Intent, { do: 'nothing' }>;

interface Told {
  row: WebhookRow;
  delivery: Delivery;
  intent: Doing;
}

/** What came of it: an order to be worked at, and the words for the forge. */
interface Done {
  order: Order | null;
  reply: Reply;
  /** For the app's log, where no order tells of it. */
  says?: string;
}

const said = (status: number, text: string): Reply => ({ status, body: `${text}\n`, contentType: 'text/plain' });

export async function receive(deps: ApiDeps, request: ApiRequest<never, never>): Promise<Reply> {
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
  const event = eventOf(delivery, headers['content-type'] ?? '', body);
  if (event === null) return said(422, `That is no ${delivery.event} event that can be read: send it as JSON.`);
  if (event.is === 'other')
    return said(200, `Heard. A ${delivery.event || 'delivery without an event'} deploys nothing.`);
  const app = await findApp(deps.store.read, row.app_guid);
  const { previews } = await readSettings(deps.store.read, row.app_guid);
  const intent = intentOf(event, { app: app?.name ?? '', branch: row.branch, previews }, delivery.forge);
  return intent.do === 'nothing' ? said(200, intent.says) : act(deps, { row, delivery, intent });
}

function eventOf({ event }: Delivery, contentType: string, body: Buffer): ForgeEvent | null {
  const text = (): string =>
    contentType.startsWith('application/x-www-form-urlencoded')
      ? (new URLSearchParams(body.toString('utf8')).get('payload') ?? '')
      : body.toString('utf8');
  try {
    return readEvent(event, () => JSON.parse(text()));
  } catch {
    return null;
  }
}

/** 202 once it is stored: it is deployed then, whatever happens to this API. */
async function act(deps: ApiDeps, told: Told): Promise<Reply> {
  const { row, intent } = told;
  if (deps.git === undefined && intent.do !== 'end')
    throw new UnavailableError('This platform has no part that runs git.');
  try {
    const { actor } = await pusherOf(deps, row);
    const done = await remember(deps, told, actor);
    if (done === null) return said(409, 'This delivery has come before, and counts once. To deploy again, push again.');
    if (done.order !== null) deps.gitOrders.work(done.order);
    if (done.says !== undefined) await logApi(deps, row.app_guid, `git: ${done.says}`);
    return done.reply;
  } catch (error) {
    if (error instanceof UnprocessableError) {
      await logApi(deps, row.app_guid, `git: ${error.message}`);
      return said(422, error.message);
    }
    if (!(error instanceof ForbiddenError || error instanceof NotFoundError)) throw error;
    await logApi(deps, row.app_guid, `git: ${MAY_NOT_PUSH}`);
    return said(403, MAY_NOT_PUSH);
  }
}

/** The delivery, and what it orders, together; null when it has come before. Two at once are one. */
async function remember(deps: ApiDeps, told: Told, actor: Actor): Promise<Done | null> {
  const marks = told.delivery.marks.map(mark => `${told.row.guid} ${mark}`);
  return deps.store.mutate(async mutation => {
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
    return order(deps, mutation, { ...told, actor });
  });
}

async function order(
  deps: ApiDeps,
  mutation: Mutation,
  { row, delivery, intent, actor }: Told & { actor: Actor },
): Promise<Done> {
  const of = await findApp(mutation.db, row.app_guid);
  if (of === undefined) throw new NotFoundError('App');
  const known = intent.do === 'deploy' ? undefined : await findPreview(mutation.db, of.guid, intent.source);
  if (intent.do === 'end') {
    if (known === undefined) return { order: null, reply: said(200, intent.says) };
    await endApp(mutation, known.app_guid, actor);
    const says = `The preview of ${intent.source} has ended.`;
    return { order: null, reply: said(200, says), says };
  }
  const { commit } = intent;
  const ordered = { commit, forge: delivery.forge };
  const reply = (app: string, what: string): Reply =>
    said(202, `${what} ${commit.slice(0, SHORT)} is being deployed: cupola logs ${app}`);
  if (intent.do === 'deploy') {
    const stored = await deps.gitOrders.store(mutation, row, { ...ordered, appGuid: of.guid, ref: null });
    return { order: stored, reply: reply(of.name, row.branch) };
  }
  if (intent.isOnce && known?.commit_id === commit)
    return { order: null, reply: said(200, `${intent.source} ${commit.slice(0, SHORT)} is deployed already.`) };
  const { app } = await keepPreview(mutation, deps, { actor, of, source: intent.source, commit });
  const stored = await deps.gitOrders.store(mutation, row, { ...ordered, appGuid: app.guid, ref: intent.ref });
  return { order: stored, reply: reply(app.name, intent.source) };
}
