/** One cell of the matrix: a fault while a push, a scale and a deployment are under way and an app with two instances is asked 200 times a second. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../platform.ts';
import { type Activity, begin, type Fixture, pushStamping, settled, spread } from './activities.ts';
import { get, type Judged, type Load, startLoad } from './load.ts';
import { type Machines, startMachines } from './machines.ts';
import { breakable, type Fault, type Part } from './matrix.ts';

/** ms: TTL of a lease and 5 s (fault-testing.md). */
const OVERLAP_MAX_MS = 20_000;

export interface Broken extends AsyncDisposable {
  machines: Machines;
  fixture: Fixture;
  load: Load;
}

export interface Cell {
  part: Part;
  fault: Fault;
  activities: readonly Activity[];
  /** ms after the activities have begun. */
  afterMs: number;
}

export interface Result extends Judged {
  cell: Cell;
  /** Seconds from the fault until each activity was done and the apps answered as before. */
  seconds: Partial<Record<Activity | 'all', number>>;
  /** What must not be; empty: nothing. */
  wrong: string[];
}

export async function startBroken({ isFollowed }: { isFollowed: boolean }): Promise<Broken> {
  await using starting = new AsyncDisposableStack();
  const machines = starting.use(await startMachines({ isFollowed }));
  console.log('the cluster stands');
  const { client } = machines;
  const pushed = (name: string, instances: number) => pushStamping(client, name, instances);
  const steady = await pushed('steady', 2);
  const fixture = { steady, scaled: await pushed('scaled', 1), rolled: await pushed('rolled', 2) };
  const load = startLoad(
    steady.host,
    machines.cells.map(({ address }) => address),
  );
  starting.defer(() => load.stop());
  const running = starting.move();
  return { machines, fixture, load, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

export async function runCell({ machines, fixture, load }: Broken, cell: Cell, turn: number): Promise<Result> {
  const { client, cells } = machines;
  const { part, fault, activities, afterMs } = cell;
  const wrong: string[] = [];
  const noted = async (what: string, work: Promise<unknown>): Promise<void> => {
    await work.catch((error: unknown) => wrong.push(`${what}: ${String(error)}`));
  };
  const routers = cells.map(({ address }) => address);
  await spread(client, fixture.steady, cells.length);
  await settled(client, fixture.steady.host, cells.length);
  const broken = await breakable(machines, part);
  const others = routers.filter(router => !broken.routers.includes(router));
  load.through(others);
  machines.through(others);
  await pause(200);
  load.judge(0);
  const began = performance.now();
  const running = activities.map(what => ({ what, ...begin(client, what, fixture, turn) }));
  for (const { done } of running) done.catch(() => undefined);
  await pause(afterMs);
  const brokenAt = performance.now();
  await noted('the fault', broken.fault(fault));
  const seconds: Result['seconds'] = {};
  const since = (at: number): number => Math.round((at - brokenAt) / 100) / 10;
  for (const { what, done } of running)
    await noted(
      what,
      done.then(tookMs => {
        seconds[what] = Math.max(0, since(began + tookMs));
      }),
    );
  // A balancer uses it again once it answers.
  const steady = fixture.steady.host;
  await noted(
    'its router',
    until('each router answers', () => answerThrough(routers, steady)),
  );
  load.through(routers);
  machines.through(routers);
  for (const { what, check } of running) await noted(`after the ${what}`, check());
  await noted('the app that nothing was done to', settled(client, steady, 2));
  seconds.all = since(performance.now());
  const judged = load.judge(brokenAt);
  if (judged.failed.length > 0) wrong.push(`${judged.failed.length} of ${judged.asked} requests failed`);
  if (judged.moved > 0 && !broken.mayMove(fault)) wrong.push(`${judged.moved} indexes were placed again`);
  if (judged.overlapMs > OVERLAP_MAX_MS) wrong.push(`two copies of one index for ${judged.overlapMs} ms`);
  return { cell, ...judged, seconds, wrong };
}

async function answerThrough(routers: readonly string[], host: string): Promise<boolean> {
  const answers = await Promise.all(routers.map(router => get(router, host)));
  return answers.every(({ status }) => status === 200);
}
