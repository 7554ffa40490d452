/** A forge has told of a push: its commit is fetched and deployed, by the same path and in the same row as a push to the platform's own address. */
import type { CloudClient } from '@cupola/client/cloud-client';
import { gitRemote } from '@cupola/contract/git-remote';
import { readRoute } from '@cupola/contract/v3/client-reads';
import type { FetchOrder, FetchOutcome } from '@cupola/contract/v3/git-webhook';
import type { RegistryPolicy } from '@cupola/images/registry/policy';
import { WordedError } from '@cupola/push/failures';
import { urlsOf } from '@cupola/push/urls';
import { findTarget } from '../platform.ts';
import { deployInTurn, type ReceiverDeps } from '../pushes/receive.ts';
import { fetchBranch } from './fetch-branch.ts';
import { findPlace } from './place.ts';
import { type CommitState, sendStatus, statusRequest } from './status.ts';

export interface FetchDeps extends ReceiverDeps {
  /** Which hosts may be asked. */
  readonly policy: RegistryPolicy;
}

export interface Hearing {
  say(line: string): void;
  /** Remembers by what the forge's host is known. */
  pin(knownHosts: string): void;
  /** Aborted when nobody listens any more. */
  readonly signal: AbortSignal;
}

const SHORT = 8;

/** @throws what the API says of the app. */
export async function deployFetched(
  deps: FetchDeps,
  client: CloudClient,
  { order, hearing }: { order: FetchOrder; hearing: Hearing },
): Promise<FetchOutcome> {
  const { say } = hearing;
  const target = await findTarget(client, order);
  const { app } = target;
  if (app === null) throw new WordedError(`There is no app ${order.app}.`, { next: 'Push it once: cupola push' });
  const { guid: home } = target.preview?.of ?? app;
  const repository = await deps.repositories.open(home);
  const name = order.ref.replace('refs/heads/', '');
  const tell = async (state: CommitState): Promise<void> => {
    const url = state === 'success' ? await addressOf(client, app.guid) : null;
    await report(deps, order, { state, url }).catch((error: unknown) =>
      say(`The forge was not told (${(error as Error).message}).`),
    );
  };
  await tell('pending');
  const outcome = await deployInTurn(
    deps,
    { client, target: { ...target, app }, repository },
    {
      ...{ branch: name, environment: {}, say, signal: hearing.signal },
      commit: async signal => {
        const place = await findPlace(order.url, deps.policy);
        const commit = await fetchBranch(deps, {
          appGuid: home,
          ref: order.ref,
          isKept: target.preview === null,
          place,
          login: order.login,
          ssh: order.deploy_key === null ? null : { key: order.deploy_key, folder: deps.folder, pin: hearing.pin },
          signal,
        });
        if (commit === order.commit) return commit;
        say(
          `${name} is at ${commit.slice(0, SHORT)} by now: ${order.commit.slice(0, SHORT)} is left to the push after it.`,
        );
        return null;
      },
    },
  );
  await deps.repositories
    .tidy(home)
    .catch((error: unknown) => deps.log.warn({ err: error }, 'a repository was not tidied'));
  await tell(outcome.is === 'deployed' ? 'success' : 'failure');
  if (outcome.is === 'failed') say(`${target.name} stays as it was.`);
  return outcome.is;
}

async function addressOf(client: CloudClient, appGuid: string): Promise<string | null> {
  const [url] = await urlsOf(client, await client.all(readRoute, `/v3/apps/${appGuid}/routes`));
  return url ?? null;
}

/** Nothing without a token. */
async function report(
  { policy }: FetchDeps,
  { forge, login, url: repository, commit, app }: FetchOrder,
  { state, url }: { state: CommitState; url: string | null },
): Promise<void> {
  const remote = gitRemote(repository);
  if (login === null || remote === null) return;
  const status = { ...{ forge, path: remote.path, commit, token: login.token, app }, state, url };
  const request = statusRequest(new URL(remote.url).origin, status);
  await sendStatus(await findPlace(request.url, policy), request);
}
