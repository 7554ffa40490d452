/**
 * What becomes of a push that git has received and checked, before any branch moves: which branch is deployed, in whose turn, and whether git may take it. A
 * push that is refused, interrupted, or overtaken by a newer one changes nothing that runs.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { CloudClient } from '@cupola/client/cloud-client';
import { CfApiError } from '@cupola/client/errors';
import { type GitTarget, gitSettings } from '@cupola/contract/v3/git';
import { keptFreeBytes } from '@cupola/model/free-space';
import { deployedBranch, planPush, type RefUpdate } from '@cupola/model/git-rules';
import { WordedError } from '@cupola/push/failures';
import type { Logger } from 'pino';
import { ended, type Git } from '../git-process.ts';
import { endPreview, keepPreview } from '../platform.ts';
import type { Repositories } from '../repositories.ts';
import { deploy, failureLines } from './deploy.ts';
import type { Received } from './hook-door.ts';
import { writeTree } from './tree.ts';
import type { Turns } from './turns.ts';

export interface ReceiverDeps {
  readonly git: Git;
  readonly repositories: Repositories;
  readonly turns: Turns;
  /** This part's own. */
  readonly folder: string;
  readonly log: Logger;
}

export interface Push {
  readonly client: CloudClient;
  readonly target: GitTarget & { app: { guid: string } };
  readonly repository: string;
}

const SHORT = 8;
const MIB = 1024 * 1024;

/** Returns whether git may take the push. */
export async function receive(deps: ReceiverDeps, push: Push, received: Received): Promise<boolean> {
  const { settings, name } = push.target;
  const branch = deployedBranch(settings, received.updates);
  const rules = { branch, hasPreviews: settings.previews !== 'off' };
  const { deploy: update, previews, ended: gone, notes, refusal } = planPush(name, rules, received.updates);
  for (const note of notes) received.say(note);
  if (refusal !== null) received.say(refusal);
  if (refusal !== null) return false;
  if (update !== null && !(await inTurn(deps, push, { received, update, mayRefuse: true }))) return false;
  if (update !== null && settings.branch === null)
    await push.client.read(gitSettings, {
      method: 'PATCH',
      path: `/v3/apps/${push.target.app.guid}/git`,
      json: { branch },
    });
  for (const [at, preview] of previews.entries()) {
    const mayRefuse = update === null && at === 0;
    if (!(await asPreview(deps, push, { received, update: preview, mayRefuse }))) return false;
  }
  for (const removed of gone) {
    const known = await endPreview(push.client, push.target.app.guid, removed);
    if (known !== null) received.say(`${known.name} is deleted with it.`);
  }
  return true;
}

/** A branch that the app does not run, as an app of its own. */
async function asPreview(deps: ReceiverDeps, push: Push, { received, update, mayRefuse }: Updating): Promise<boolean> {
  const branch = update.ref.replace('refs/heads/', '');
  let target: Push['target'];
  try {
    target = await keepPreview(push.client, push.target, branch);
  } catch (error) {
    if (!(error instanceof CfApiError || error instanceof WordedError)) throw error;
    received.say(mayRefuse ? `The push is refused: ${error.message}` : `${branch} has no preview: ${error.message}`);
    return !mayRefuse;
  }
  received.say(`${branch} is a preview of ${push.target.name}: ${target.name}`);
  return inTurn(deps, { ...push, target }, { received, update, mayRefuse });
}

interface Updating {
  received: Received;
  update: RefUpdate;
  /** False once something of this push runs: git takes or refuses all of it, so what fails after that is told. */
  mayRefuse: boolean;
}

async function inTurn(deps: ReceiverDeps, push: Push, { received, update, mayRefuse }: Updating): Promise<boolean> {
  const { say, environment, signal } = received;
  const { name, settings } = push.target;
  const branch = update.ref.replace('refs/heads/', '');
  const outcome = await deployInTurn(deps, push, {
    ...{ branch, environment, say, signal },
    commit: async () => {
      if ((await commitOf(deps.git, push, update.ref)) === update.before) return update.after;
      say(`${branch} has moved meanwhile. Fetch it, merge, and push again.`);
      return null;
    },
  });
  if (outcome.is !== 'failed') return outcome.is === 'deployed' || !mayRefuse;
  if (!mayRefuse) {
    say(`${name} stays as it was. git keeps the push all the same, since another branch of it runs.`);
    return true;
  }
  const isTaken = settings.on_failure === 'report' && outcome.isExplained;
  const owner = push.target.preview?.of.name ?? name;
  say(
    isTaken
      ? `git keeps the push all the same, as ${owner} is set (cupola git:config ${owner} --on-failure refuse changes it).`
      : `The push is refused: ${name} stays as it was.`,
  );
  return isTaken;
}

/** A commit that is deployed when it is its turn. */
export interface Turning {
  readonly branch: string;
  /** Where git finds what it has just received. */
  readonly environment: Record<string, string>;
  say(line: string): void;
  /** Aborted when whoever has pushed has gone. */
  readonly signal: AbortSignal;
  /** Which one, once it is this push's turn; null: none, and why not has been said. */
  commit(signal: AbortSignal): Promise<string | null>;
}

/** `isExplained`: why has been said, and is not a fault of the platform. */
export type TurnOutcome = { is: 'deployed' | 'overtaken' } | { is: 'failed'; isExplained: boolean };

export async function deployInTurn(deps: ReceiverDeps, push: Push, turning: Turning): Promise<TurnOutcome> {
  const { target } = push;
  const { branch, say } = turning;
  const startedMs = performance.now();
  using turn = await deps.turns.take(target.app.guid);
  const waitedMs = performance.now() - startedMs;
  if (waitedMs > 1_000) say(`Waited ${Math.round(waitedMs / 1_000)} s for the push before to end.`);
  if (turning.signal.aborted) return { is: 'overtaken' };
  const work = join(deps.folder, 'work');
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(join(work, 'push-'));
  const signal = AbortSignal.any([turning.signal, turn.newer]);
  try {
    const commit = await turning.commit(signal);
    if (commit === null) return { is: 'overtaken' };
    await requireSpace(folder);
    say(`${branch} ${commit.slice(0, SHORT)} for ${target.name} in ${target.organization.name} / ${target.space.name}`);
    await take(deps, push, { turning, commit, folder, signal, startedMs });
    return { is: 'deployed' };
  } catch (error) {
    return told(deps, push, { error, say, folder, newer: turn.newer, gone: turning.signal });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Taking {
  turning: Turning;
  commit: string;
  folder: string;
  signal: AbortSignal;
  startedMs: number;
}

async function take(
  { git, folder: home }: ReceiverDeps,
  { client, target, repository }: Push,
  { turning, commit, folder, signal, startedMs }: Taking,
): Promise<void> {
  const { environment, say } = turning;
  const tree = await writeTree(
    git,
    { repository, commit, environment },
    { folder, submodules: target.settings.submodules },
  );
  if (tree.submodules.length > 0) say(`Left empty, since they are submodules: ${tree.submodules.join(', ')}`);
  signal.throwIfAborted();
  await deploy(client, {
    ...{ appGuid: target.app.guid, name: target.name, spaceGuid: target.space.guid },
    ...{ folder, home, startedMs, say, signal, preview: target.preview },
  });
}

interface Failed {
  error: unknown;
  say(line: string): void;
  folder: string;
  newer: AbortSignal;
  gone: AbortSignal;
}

/** Says what went wrong. */
function told({ log }: ReceiverDeps, { target }: Push, { error, say, folder, newer, gone }: Failed): TurnOutcome {
  const { name } = target;
  if (newer.aborted) say(`A newer push to ${name} has come: this one ends here, and changes nothing.`);
  if (newer.aborted || gone.aborted) return { is: 'overtaken' };
  const lines = failureLines(error, { name, folder });
  if (lines === null) log.error({ err: error, app: target.app?.guid }, 'a push failed');
  for (const line of lines ?? ['The platform could not do it. Push again; if it stays so, tell its operator.'])
    say(line);
  return { is: 'failed', isExplained: lines !== null };
}

/** Null: there is none. */
async function commitOf(git: Git, { repository }: Push, ref: string): Promise<string | null> {
  const child = git.start([`--git-dir=${repository}`, 'rev-parse', '--verify', '--quiet', '--end-of-options', ref]);
  child.stdin.end();
  child.stderr.resume();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  const code = await ended(child);
  return code === 0 ? text.trim() : null;
}

async function requireSpace(folder: string): Promise<void> {
  const { bavail, bsize, blocks } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes < keptFreeBytes(blocks * bsize))
    throw new WordedError(`The platform's disk is nearly full (${Math.floor(freeBytes / MIB)} MB free).`, {
      next: 'Delete apps or free some space, then push again.',
    });
}
