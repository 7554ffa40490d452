/**
 * Push events that were taken, until git's part has said how each ended: what a forge was told of with 202 is deployed though this API, or the part, is killed
 * in the middle. A row is held by the API that works at it, for a while that it renews; whoever finds one that is held no more goes on with it. The same commit
 * deployed twice, where the end was not heard, is the same version once more.
 */
import { randomUUID } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import { type FetchOrder, fetchOrder } from '@cupola/contract/v3/git-webhook';
import { ForbiddenError, NotFoundError, UnavailableError, UnprocessableError } from '@cupola/model/errors';
import type { GitOrdersTable, GitWebhooksTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { Actor } from '../../access/actor.ts';
import { logApi } from '../../apps/log-line.ts';
import type { ApiDeps } from '../../deps.ts';
import { actorOfUser } from '../../uaa/authenticate.ts';
import { requireStillAllowed } from '../previews/previews.ts';
import { findTarget } from '../target.ts';
import { pushToken } from '../who-pushes.ts';
import { followOrder, placeOrder } from './order.ts';
import type { Delivery } from './signatures.ts';

/** All ours. An API that was killed is followed by another one after a minute. */
const HELD_MS = 60_000;
const RENEWED_EVERY_MS = 20_000;
const LOOK_MS = 10_000;
/** A part that does not take it is asked again after 5 s, 10 s ... a minute, for this long in all; a push of before is of no use then. */
const RETRY_MS = { first: 5_000, most: 60_000, all: 3_600_000 };

type Order = Selectable<GitOrdersTable>;
type Webhook = Selectable<GitWebhooksTable>;
const storedLogin = z.object({ user: z.string(), token: z.string() });
/** Why nothing is deployed, for the app's log and the forge. */
export const MAY_NOT_PUSH =
  'Who has made this webhook may not push to its app any more. Make it anew: cupola git:webhook APP --repo URL';

export interface OrderAsked {
  commit: string;
  forge: Delivery['forge'];
  /** That is deployed: the webhook's, or a preview of it. */
  appGuid: string;
  /** Null: the branch of the webhook. */
  ref: string | null;
}

export interface GitOrders extends AsyncDisposable {
  /** In the mutation that remembers the delivery: held by this API, which is to {@link GitOrders.work} at it. */
  store(mutation: Mutation, webhook: Webhook, order: OrderAsked): Promise<Order>;
  /** Goes on in the background. */
  work(order: Order): void;
  /** Takes over what nobody holds, from now on. @param lookMs how often it looks. */
  start(lookMs?: number): void;
}

export interface Pusher {
  actor: Actor;
  place: { app: string; space: string; organization: string };
}

/**
 * As whom the webhook deploys, and what: its app, or a preview of it.
 * @throws ForbiddenError, NotFoundError when that user may not push (any more), or the app is gone.
 */
export async function pusherOf({ store }: ApiDeps, webhook: Webhook, appGuid = webhook.app_guid): Promise<Pusher> {
  const actor = await actorOfUser(store.read, webhook.user_guid);
  const place = await store.read
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .select(['apps.name as app', 'spaces.name as space', 'organizations.name as organization'])
    .where('apps.guid', '=', appGuid)
    .executeTakeFirst();
  if (actor === null) throw new ForbiddenError();
  if (place === undefined) throw new NotFoundError('App');
  await findTarget(store.read, actor, place);
  return { actor, place };
}

export function createGitOrders(depsOf: () => ApiDeps): GitOrders {
  const ending = new AbortController();
  const working = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | null = null;

  const work = (order: Order): void => {
    const deps = depsOf();
    const done = workAt(deps, order, ending.signal)
      .catch((error: unknown) => deps.log.warn({ err: error, app: order.app_guid }, 'a push event waits'))
      .finally(() => working.delete(done));
    working.add(done);
  };
  const look = async (): Promise<void> => {
    const deps = depsOf();
    for (const order of await takeOver(deps)) work(order);
  };
  return {
    work,
    store: async ({ db, now }, webhook, { commit, forge, appGuid, ref }) => {
      const order = {
        ...{ guid: randomUUID(), app_guid: appGuid, webhook_guid: webhook.guid, commit_id: commit, forge, ref },
        ...{ attempts: 1, held_until: now + HELD_MS, created_at: now },
      };
      await db.insertInto('git_orders').values(order).execute();
      return order;
    },
    start: (lookMs = LOOK_MS) => {
      const lookNow = (): void =>
        void look().catch((error: unknown) => {
          if (!ending.signal.aborted) depsOf().log.warn({ err: error }, 'push events could not be looked for');
        });
      timer = setInterval(lookNow, lookMs);
      lookNow();
    },
    [Symbol.asyncDispose]: async () => {
      if (timer !== null) clearInterval(timer);
      ending.abort(new Error('this API ends'));
      await Promise.all(working);
    },
  };
}

/** What nobody holds any more, held by this API now. Most looks find nothing, and write nothing. */
async function takeOver({ store, now }: ApiDeps): Promise<Order[]> {
  const free = await store.read.selectFrom('git_orders').select('guid').where('held_until', '<=', now()).execute();
  if (free.length === 0) return [];
  return store.mutate(({ db, now }) =>
    db
      .updateTable('git_orders')
      .set(({ eb }) => ({ held_until: now + HELD_MS, attempts: eb('attempts', '+', 1) }))
      .where('held_until', '<=', now)
      .returningAll()
      .execute(),
  );
}

async function workAt(deps: ApiDeps, order: Order, ending: AbortSignal): Promise<void> {
  const { store } = deps;
  const say = (line: string): Promise<void> => logApi(deps, order.app_guid, `git: ${line}`);
  /** Of this attempt: whoever has taken it over has another number. */
  const holdFor = (ms: number): Promise<unknown> =>
    store.mutate(({ db, now }) =>
      db
        .updateTable('git_orders')
        .set({ held_until: now + ms })
        .where('guid', '=', order.guid)
        .where('attempts', '=', order.attempts)
        .execute(),
    );
  const renewing = setInterval(() => void holdFor(HELD_MS).catch(() => undefined), RENEWED_EVERY_MS);
  try {
    const { is } = await attempt(deps, order, { say, ending });
    if (is !== 'again') await store.mutate(mutation => close(mutation, order, { isDeployed: is === 'deployed' }));
    else await holdFor(ending.aborted ? 0 : Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** (order.attempts - 1)));
  } finally {
    clearInterval(renewing);
  }
}

/** Of a commit that was not deployed, the next event of the forge is no repetition. */
async function close({ db }: Mutation, order: Order, { isDeployed }: { isDeployed: boolean }): Promise<void> {
  await db.deleteFrom('git_orders').where('guid', '=', order.guid).execute();
  if (isDeployed) return;
  await db
    .updateTable('git_previews')
    .set({ commit_id: null })
    .where('app_guid', '=', order.app_guid)
    .where('commit_id', '=', order.commit_id)
    .execute();
}

/** How an attempt has ended. `again`: what became of it is not known. */
interface Attempted {
  readonly is: 'deployed' | 'given-up' | 'again';
}

async function attempt(
  deps: ApiDeps,
  order: Order,
  { say, ending }: { say(line: string): Promise<void>; ending: AbortSignal },
): Promise<Attempted> {
  const webhook = await deps.store.read
    .selectFrom('git_webhooks')
    .selectAll()
    .where('guid', '=', order.webhook_guid)
    .executeTakeFirst();
  // It was removed, or set up anew: what it was told of counts no more.
  if (webhook === undefined) return { is: 'given-up' };
  const isLast = deps.now() - order.created_at > RETRY_MS.all;
  try {
    const { actor, place } = await pusherOf(deps, webhook, order.app_guid);
    await requireStillAllowed(deps.store.read, order.app_guid);
    if (deps.git === undefined) throw new UnavailableError('This platform has no part that runs git.');
    const sealed = webhook.login_sealed;
    const login = sealed === null ? null : storedLogin.parse(JSON.parse(deps.sealer.open(sealed)));
    const answer = await placeOrder(
      deps.git,
      {
        ...place,
        ...{ url: webhook.repository_url, ref: order.ref ?? `refs/heads/${webhook.branch}` },
        commit: order.commit_id,
        forge: fetchOrder.shape.forge.parse(order.forge),
        login,
        deploy_key: keyOf(deps, webhook),
      },
      { authorization: `bearer ${await pushToken(deps, actor)}`, requestId: randomUUID() },
    );
    // Let go of when it has ended: the signal lives as long as the API.
    addAbortSignal(ending, answer);
    const pin = (hosts: string): Promise<void> => pinHost(deps, webhook, hosts);
    const outcome = await followOrder(answer, { say, pin });
    if (outcome !== null) return { is: outcome === 'deployed' ? 'deployed' : 'given-up' };
    if (!ending.aborted)
      await say(`git's part has gone in the middle. ${isLast ? 'Push again.' : 'It is done again.'}`);
  } catch (error) {
    if (error instanceof ForbiddenError || error instanceof NotFoundError) {
      await say(MAY_NOT_PUSH);
      return { is: 'given-up' };
    }
    if (error instanceof UnprocessableError) {
      await say(error.message);
      return { is: 'given-up' };
    }
    if (!(error instanceof UnavailableError)) throw error;
    if (isLast) await say(`${error.message} It was tried for an hour: push again.`);
  }
  return { is: isLast ? 'given-up' : 'again' };
}

function keyOf({ sealer }: ApiDeps, { deploy_key_sealed, known_hosts }: Webhook): FetchOrder['deploy_key'] {
  return deploy_key_sealed === null ? null : { private: sealer.open(deploy_key_sealed), known_hosts };
}

/** What the forge's host has shown at first is what it is known by from now on. */
async function pinHost({ store }: ApiDeps, { guid }: Webhook, known_hosts: string): Promise<void> {
  await store.mutate(({ db }) =>
    db
      .updateTable('git_webhooks')
      .set({ known_hosts })
      .where('guid', '=', guid)
      .where('known_hosts', 'is', null)
      .execute(),
  );
}
