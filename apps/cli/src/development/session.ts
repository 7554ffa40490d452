/**
 * The loop of `cupola dev`: pushes once, then waits until something may have changed, looks at the folder, compares it with what the app has, and brings over
 * what differs, by a change or by a push. What the app has is remembered only once the platform has said so; whatever fails is tried again from there, so that
 * nothing is lost, and an error ends nothing. Knows neither HTTP nor the terminal: `DevPlatform` and `say` do.
 */
import { type DevelopmentFacts, judgeChanges } from '@cupola/model/development-rule';
import { EXIT } from '@cupola/push/exit-codes';
import { explain, WordedError } from '@cupola/push/failures';
import { changeTar } from './change-tar.ts';
import type { DevEvent } from './dev-text.ts';
import { FolderChangingError, FolderGoneError, folderView, type Look } from './folder.ts';
import type { Hints } from './hints.ts';
import { hasChanges, type Tree, type TreeChanges, treeChanges } from './tree.ts';

/** What the manifest says, as it is at this moment. */
export interface DevPlan {
  readonly folder: string;
  /** Differs when a push of the same files would be another one. */
  readonly key: string;
  readonly hasCommand: boolean;
}

/** What a push has made of the app. */
export interface Pushed {
  readonly dropletGuid: string;
  readonly buildpacks: readonly string[];
  readonly tree: Tree;
  /** False: one of its files may have changed while it was sent. */
  readonly isSure: boolean;
  readonly facts: DevelopmentFacts;
  /** Upload, stage, start. */
  readonly tookMs: readonly number[];
}

export interface Applied {
  readonly sequence: number;
  /** Null: every instance that runs has taken it, and there is one. */
  readonly waits: 'no instance runs' | 'not taken yet' | null;
}

export interface DevPlatform {
  /** @throws what the manifest is at fault for. */
  plan(): DevPlan;
  /** The whole folder, by that plan. */
  push(): Promise<Pushed>;
  /** What the app has after a push that failed, where that got so far; null: what it had. */
  afterFailure(): Promise<Pushed | null>;
  /** @throws RefusedChangeError when only a push will do. */
  sync(dropletGuid: string, tar: Buffer): Promise<Applied>;
}

export class RefusedChangeError extends Error {
  override readonly name = 'RefusedChangeError';
}

export interface Session {
  readonly app: string;
  readonly platform: DevPlatform;
  readonly hints: Hints;
  looksAt(folder: string): () => Look;
  /** Absolute: folders of what counts and does not lie in the app's. */
  readonly besides: readonly string[];
  /** A change is another start, unless nothing that runs is to show it. */
  readonly restarts: boolean;
  readonly runsSources: boolean;
  readonly signal: AbortSignal;
  /** The first push is over. */
  begun(look: Look): Promise<void>;
  say(event: DevEvent): void;
}

/** Without a hint, so often a look: a hint may have been lost. */
const IDLE_MS = 10_000;
/** Where no hints are to be had. */
const SOON_MS = 1_000;
const AGAIN_MS = [1_000, 2_000, 5_000];

/** What was tried last and failed: not tried again before something else is there, unless time may mend it. */
interface Failed {
  readonly tree: Tree;
  readonly key: string;
  readonly isForNow: boolean;
}

/** Until `signal` is aborted. @throws what is wrong with the command itself, by the first push. */
export async function develop(session: Session): Promise<void> {
  const { hints, signal } = session;
  const tell = createTelling(session);
  const state: State = { has: null, key: '', failed: null, failures: 0, idleMs: IDLE_MS };
  const course: Course = { session, tell, state, eye: createEye(session, tell, state) };
  await begin(course);
  while (!signal.aborted) {
    const heardMs = await hints.next(state.idleMs, signal).catch((error: unknown) => {
      if (signal.aborted) return null;
      throw error;
    });
    if (!signal.aborted) await step(course, heardMs ?? performance.now());
  }
}

interface State {
  has: Pushed | null;
  /** Of the push that `has` is of. */
  key: string;
  failed: Failed | null;
  /** One after another. */
  failures: number;
  /** How long to wait for a hint. */
  idleMs: number;
}

interface Course {
  readonly session: Session;
  readonly tell: Telling;
  readonly state: State;
  readonly eye: Eye;
}

/** Where the manifest leads to, looked at. */
interface Eye {
  plan(): DevPlan;
  /** Reads the manifest anew; one that is wrong counts as it was. */
  replan(): void;
  /** Watches what it has seen. Null: there is nothing to compare, and why is told. */
  look(): Look | null;
}

function createEye({ app, platform, hints, looksAt, besides }: Session, tell: Telling, state: State): Eye {
  let plan = platform.plan();
  let looks = looksAt(plan.folder);
  return {
    plan: () => plan,
    replan: () => {
      try {
        const read = platform.plan();
        if (read.folder !== plan.folder) looks = looksAt(read.folder);
        plan = read;
      } catch (error) {
        // What has no words is a folder that has just gone: that is told by the look at it.
        if (explain(error) !== null) tell.trouble('the manifest does not count as it is', error);
      }
    },
    look: () => {
      try {
        const seen = looks();
        const news = hints.watch([...seen.folders, ...besides]);
        if (news === true) hints.hint();
        if (news === null) {
          state.idleMs = SOON_MS;
          tell.once(WATCHED_OUT);
        }
        return seen;
      } catch (error) {
        if (error instanceof FolderChangingError) hints.hint();
        else state.idleMs = SOON_MS;
        if (error instanceof FolderGoneError)
          tell.once(
            `${plan.folder} is gone. ${app} goes on with what it has. Put the folder back, or end with Ctrl-C.`,
          );
        else if (!(error instanceof FolderChangingError)) tell.trouble(`${plan.folder} cannot be looked at`, error);
        return null;
      }
    },
  };
}

async function begin(course: Course): Promise<void> {
  const { session, tell, eye } = course;
  const seen = eye.look();
  // Told; the first step pushes.
  if (seen === null) return;
  const failure = await push(course, seen);
  if (session.signal.aborted) return;
  if (failure !== null) {
    const { exitCode = EXIT.failed } = explain(failure.error) ?? {};
    if (exitCode !== EXIT.failed) throw failure.error;
    tell.failure('not pushed', failure.error);
  }
  await session.begun(seen);
  // What has changed meanwhile nobody has told.
  session.hints.hint();
}

/** `sinceMs`: when the first hint was heard. */
async function step(course: Course, sinceMs: number): Promise<void> {
  const { session, state, eye } = course;
  state.idleMs = IDLE_MS;
  eye.replan();
  const seen = eye.look();
  if (seen === null) return;
  const { has, failed } = state;
  const key = keyOf(eye.plan(), seen);
  const isAsFailed = failed?.key === key && !hasChanges(treeChanges(failed.tree, seen.tree));
  if (isAsFailed && !failed.isForNow) return;
  const changes = treeChanges(has?.tree ?? new Map(), seen.tree, { isSure: has?.isSure ?? true });
  if (has === null) await pushAnew(course, { why: `${session.app} does not run yet`, changes, seen });
  else if (key !== state.key) await pushAnew(course, { why: whatDiffers(state.key, key), changes, seen });
  else if (hasChanges(changes)) await sync(course, has, { changes, seen, sinceMs });
  else state.failed = null;
}

/** Null: done, or ended meanwhile. */
async function push({ session, state, eye }: Course, seen: Look): Promise<{ error: unknown } | null> {
  const { platform, signal, say } = session;
  const startedMs = performance.now();
  const key = keyOf(eye.plan(), seen);
  try {
    state.has = await platform.push();
    state.key = key;
    state.failed = null;
    const [upload = 0, stage = 0, start = 0] = state.has.tookMs.map(ms => ms / 1_000);
    say({ type: 'pushed', ms: performance.now() - startedMs, seconds: { upload, stage, start } });
    return null;
  } catch (error) {
    if (signal.aborted) return null;
    const left = await platform.afterFailure().catch(() => null); // What is not known to have changed is as it was.
    if (left !== null) {
      state.has = left;
      state.key = key;
    }
    noteFailed(state, { tree: seen.tree, key, isForNow: isForNow(error) });
    return { error };
  }
}

interface Difference {
  readonly changes: TreeChanges;
  readonly seen: Look;
}

async function pushAnew(course: Course, { why, changes, seen }: Difference & { why: string }): Promise<void> {
  const { session, state, tell } = course;
  if (state.failed?.isForNow !== true)
    session.say({ type: 'building', why, changed: [...changes.added, ...changes.changed], removed: changes.removed });
  const failure = await push(course, seen);
  if (failure === null) return tell.forget();
  const what = state.has === null ? 'not pushed' : `not pushed, ${session.app} goes on as it was`;
  if (isForNow(failure.error)) tell.trouble(what, failure.error);
  else tell.failure(what, failure.error);
}

async function sync(
  course: Course,
  has: Pushed,
  { changes, seen, sinceMs }: Difference & { sinceMs: number },
): Promise<void> {
  const { session, state, tell, eye } = course;
  const { folder, hasCommand } = eye.plan();
  const build = { ...has, hasCommand, runsSources: session.runsSources };
  const judged = judgeChanges(build, folderView(folder, seen.tree), changes);
  if (judged.do === 'build') return await pushAnew(course, { why: judged.path, changes, seen });
  const restart = judged.restart && session.restarts;
  try {
    const tar = changeTar(folder, { ...judged, changes, before: has.tree, now: seen.tree, restart });
    if (tar === null) return await pushAnew(course, { why: 'more than one change may hold', changes, seen });
    if (tar.isOutdated) session.hints.hint();
    const { sequence, waits } = await session.platform.sync(has.dropletGuid, tar.body);
    state.has = { ...has, tree: tar.after, isSure: true };
    state.failed = null;
    tell.forget();
    const changed = [...changes.added, ...changes.changed];
    const ms = performance.now() - sinceMs;
    session.say({ type: 'synced', changed, removed: changes.removed, ms, restarted: restart, sequence, waits });
  } catch (error) {
    if (session.signal.aborted) return;
    if (error instanceof RefusedChangeError) return await pushAnew(course, { why: error.message, changes, seen });
    noteFailed(state, { tree: seen.tree, key: state.key, isForNow: true });
    tell.trouble('not synced', error);
  }
}

function noteFailed(state: State, failed: Failed): void {
  state.failures = state.failed === null ? 0 : state.failures + 1;
  state.failed = failed;
  if (failed.isForNow) state.idleMs = AGAIN_MS[Math.min(state.failures, AGAIN_MS.length - 1)] ?? SOON_MS;
}

const WATCHED_OUT =
  'The kernel watches no more folders for this user: the folder is looked at once a second instead. As root: sysctl fs.inotify.max_user_watches=524288';

interface Telling {
  /** Until something goes well again. */
  once(message: string): void;
  /** The same, of an error. */
  trouble(what: string, error: unknown): void;
  /** Each time. */
  failure(what: string, error: unknown): void;
  forget(): void;
}

function createTelling({ app, say }: Session): Telling {
  const told = new Set<string>();
  const once = (message: string, act: () => void): void => {
    if (!told.has(message)) act();
    told.add(message);
  };
  const failure = (what: string, error: unknown): void => {
    const known = explain(error, app);
    // A bug, or the disk's own word: whole, and it ends nothing.
    const { message, details, next, explained } = known ?? new WordedError(String(error));
    say({ type: 'failed', what, message, details, next, ...(explained === null ? {} : { explained }) });
  };
  return {
    once: message => once(message, () => say({ type: 'note', message })),
    trouble: (what, error) => once(`${what} ${String(error)}`, () => failure(what, error)),
    failure,
    forget: () => told.clear(),
  };
}

/** What a push of the same files would do otherwise: the manifest, and which files stay at home. */
function keyOf(plan: Pick<DevPlan, 'key'>, { ignore }: Pick<Look, 'ignore'>): string {
  return JSON.stringify([plan.key, ignore]);
}

function whatDiffers(before: string, now: string): string {
  const [manifest] = JSON.parse(before) as string[];
  return manifest === (JSON.parse(now) as string[])[0] ? '.cfignore' : 'manifest';
}

/** Nobody answered, or not as usual: the same may do in a moment. */
function isForNow(error: unknown): boolean {
  const { status = 0 } = error as { status?: number };
  const { exitCode = EXIT.failed } = explain(error) ?? {};
  return status >= 500 || exitCode === EXIT.login || exitCode === EXIT.unreachable;
}
