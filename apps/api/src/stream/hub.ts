/**
 * The live stream for many watchers. One reader of the feed for the whole process, only while somebody watches: woken by commits, it reads what has changed
 * once, makes the text of each frame once, and tells everybody what concerns them.
 *
 * What it keeps true: nothing is skipped between a watcher's cursor and its end, or it hears `reset`; rights count as they are when a frame is sent; a reader
 * that is slow is cut; `beat` is only said when the feed could be read to its end.
 */
import { STREAM_BEAT_MS } from '@cupola/contract/v3/stream';
import { UnavailableError } from '@cupola/model/errors';
import { STREAM_LIMITS } from '@cupola/model/limits';
import { FINE_STEP_S } from '@cupola/model/metrics';
import type { Change, Cursor } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { rereadActors } from '../uaa/authenticate.ts';
import { createCrowd } from './crowd.ts';
import { readNewestFigures } from './figures.ts';
import { type Frame, framesOf } from './frames.ts';
import { createInstancesReader } from './instances.ts';
import { concernsRights, readMissed } from './missed.ts';
import { readHappenings } from './read-objects.ts';
import { sayEnd, type Watcher } from './watcher.ts';
import { type Joiner, welcome } from './welcome.ts';

export interface StreamHub extends AsyncDisposable {
  /** Sends what it missed since `since`, `ready`, and then what happens. Answers how to leave. @throws when the store cannot be read. */
  join(watcher: Watcher, since: string | null): Promise<() => void>;
  /** @throws UnavailableError when this user, or all together, watch as much as goes. */
  requireRoom(actor: Actor): void;
}

/** ms between two readings of the feed under load: what happens meanwhile is read, and told, together. */
const GAP_MS = 25;
const RETRY_MS = 1_000;
const CHANGES_EACH_READ = 1_000;
const TOO_MANY = `So many live streams are open (${STREAM_LIMITS.perUserMax} of one user at most). Close one, or try again soon.`;

type Deps = Pick<ApiDeps, 'store' | 'log' | 'now'>;

/** @param given what objects are read and shown with: asked for when it is, since the hub is one of them. */
export function createStreamHub(given: () => ApiDeps, { store, log, now }: Deps): StreamHub {
  const crowd = createCrowd(now);
  const inTurn = createTurns();
  const joiners: Joiner[] = [];
  let follower: Follower | null = null;
  let isClosed = false;

  /** Nobody watches: nothing is kept, and nothing read. */
  function rest(): void {
    if (crowd.size() > 0) return;
    follower?.[Symbol.dispose]();
    follower = null;
  }

  async function joinAll(): Promise<void> {
    const batch = joiners.splice(0);
    try {
      follower ??= await startFollower({ crowd, inTurn, given, store, log });
      const cursor = await follower.catchUp();
      const framesFor = follower.framesFor;
      const sinces = batch.flatMap(({ since }) => since ?? []);
      const missed = await readMissed({ store, framesFor }, sinces, cursor);
      for (const seat of await welcome(store, batch, { missed, cursor })) crowd.add(seat);
      for (const { joined } of batch) joined();
      if (isClosed) crowd.endAll('restart');
    } catch (error) {
      for (const { failed } of batch) failed(error);
    }
    rest();
  }

  return {
    requireRoom: ({ kind, guid }) => {
      const all = [...crowd.watchers(), ...joiners.map(({ watcher }) => watcher)];
      const own = all.filter(({ actor }) => actor.kind === kind && actor.guid === guid);
      if (all.length >= STREAM_LIMITS.watchersMax || own.length >= STREAM_LIMITS.perUserMax)
        throw new UnavailableError(TOO_MANY);
    },
    join: (watcher, since) =>
      new Promise((resolve, reject) => {
        const leave = (): void => {
          crowd.leave(watcher);
          void inTurn(async () => rest());
        };
        const joined = (): void => resolve(leave);
        if (isClosed) {
          sayEnd(watcher, 'restart');
          return joined();
        }
        joiners.push({ watcher, since, joined, failed: reject });
        if (joiners.length === 1) void inTurn(joinAll);
      }),
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      crowd.endAll('restart');
      await inTurn(async () => rest());
    },
  };
}

type Turns = (work: () => Promise<void>) => Promise<void>;

/** One thing at a time: what is sent stays in the order of the feed. */
function createTurns(): Turns {
  let turn: Promise<unknown> = Promise.resolve();
  return work => {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  };
}

interface Follower extends Disposable {
  /** Follows the feed to its end, in a turn of the caller's. Answers where that is. */
  catchUp(): Promise<Cursor>;
  /** As those who come back get it: all of it, also what is as it was. */
  framesFor(changes: readonly Change[], epoch: string): Promise<Frame[]>;
}

interface Followed extends Pick<Deps, 'store' | 'log'> {
  crowd: ReturnType<typeof createCrowd>;
  inTurn: Turns;
  given: () => ApiDeps;
}

/** Reads the feed on, from the newest position, whenever something is committed, and tells the crowd. */
async function startFollower({ crowd, inTurn, given, store, log }: Followed): Promise<Follower> {
  const instances = createInstancesReader(given());
  let at = await store.cursor();
  let isOver = false;
  let readAtMs = 0;
  let timer: NodeJS.Timeout | null = null;

  const framesFor = async (changes: readonly Change[], epoch: string, isNews: boolean): Promise<Frame[]> => [
    ...framesOf([...(await readHappenings(given(), changes)), ...(await instances.read(changes, { isNews }))], epoch),
  ];

  async function setRights(): Promise<void> {
    crowd.setRights(await rereadActors(store.read, crowd.actors()), at);
  }

  function readOn(): Promise<Change[] | null> {
    readAtMs = performance.now();
    return store.changesAfter(at, CHANGES_EACH_READ);
  }

  async function catchUp(): Promise<Cursor> {
    for (let changes = await readOn(); ; ) {
      if (changes === null) {
        // Another epoch, or too far behind.
        at = await store.cursor();
        crowd.resetAll(at);
        changes = await readOn();
        continue;
      }
      const last = changes.at(-1);
      if (last === undefined) return at;
      const frames = crowd.size() === 0 ? [] : await framesFor(changes, at.epoch, true);
      at = { epoch: at.epoch, revision: last.revision };
      // What comes next is read before this is told: rights that were taken away while things were read count.
      const next = await readOn();
      if ([...changes, ...(next ?? [])].some(concernsRights)) await setRights();
      if (frames.length > 0) crowd.tell(frames, at);
      changes = next;
    }
  }

  async function beat(): Promise<void> {
    // Tokens of clients are taken back without a change of the feed.
    if (crowd.actors().some(({ kind }) => kind === 'client')) await setRights();
    crowd.beat(await catchUp());
  }

  async function tellFigures(): Promise<void> {
    crowd.tell(await readNewestFigures(given()), at);
  }

  function work(what: () => Promise<unknown>): void {
    inTurn(async () => {
      if (!isOver) await what();
    }).catch((error: unknown) => {
      if (isOver) return;
      log.error({ err: error }, 'the live stream could not be read on; this is tried again');
      wake(RETRY_MS);
    });
  }

  function wake(waitMs: number): void {
    if (isOver) return;
    timer ??= setTimeout(() => {
      timer = null;
      work(catchUp);
    }, waitMs);
  }

  const stop = store.subscribe(() => wake(Math.max(0, readAtMs + GAP_MS - performance.now())));
  const beats = setInterval(() => work(beat), STREAM_BEAT_MS);
  const figures = setInterval(() => work(tellFigures), FINE_STEP_S * 1_000);
  return {
    catchUp,
    framesFor: (changes, epoch) => framesFor(changes, epoch, false),
    [Symbol.dispose]: () => {
      isOver = true;
      stop();
      clearInterval(beats);
      clearInterval(figures);
      if (timer !== null) clearTimeout(timer);
    },
  };
}
