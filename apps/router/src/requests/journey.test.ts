import { describe, expect, test } from 'vitest';
import { aRoute, routeTo } from '../fixtures.ts';
import { DEFAULT_SETTINGS } from '../settings.ts';
import { createRouteTable } from '../table/route-table.ts';
import { createBalance } from './balance.ts';
import { type Failure, type Journey, type Step, startJourney } from './journey.ts';
import type { Selector } from './selection.ts';

const dial: Failure = { kind: 'dial', cause: 'connection refused' };
const ended: Failure = { kind: 'ended', cause: 'EOF' };
const broken: Failure = { kind: 'broken', cause: 'malformed answer' };

function world(ports: number[], holdMs = 0) {
  const clock = { ms: 1_000 };
  const monotonic = () => clock.ms;
  /** Ports whose agent is away. */
  const away = new Set<number>();
  const isDown = ({ port: at }: { port: number }) => away.has(at);
  const balance = createBalance({ settings: DEFAULT_SETTINGS, isDown, monotonic });
  const table = createRouteTable({
    routeChanged: (_, entry) => balance.restated(entry?.pool.map(({ key }) => key) ?? []),
    backendGone: key => balance.forget(key),
  });
  table.upsert(routeTo(ports, {}, holdMs));
  const go = (
    traveller: { idempotent?: boolean; sticky?: string; hashed?: string; selector?: Selector } = {},
  ): Journey =>
    startJourney(
      { table, balance, settings: DEFAULT_SETTINGS, isDown, monotonic },
      {
        host: 'app.localhost',
        routeGuid: 'route-1',
        selector: traveller.selector ?? null,
        sticky: traveller.sticky ?? null,
        hashed: traveller.hashed ?? null,
        idempotent: traveller.idempotent ?? true,
      },
    );
  return { clock, table, balance, go, away };
}

function port(step: Step): number {
  if (step.do !== 'try') throw new Error(`expected a try, got ${JSON.stringify(step)}`);
  return step.backend.port;
}
function fail(journey: Journey, step: Step, failure: Failure, bodyTouched = false): Step {
  if (step.do !== 'try') throw new Error('nothing was tried');
  return journey.failed(step.backend, failure, bodyTouched);
}
const error = (step: Step): string =>
  step.do === 'answer' ? `${step.answer.status} ${step.answer.routerError}` : step.do;

describe('a journey', () => {
  test('tries at most three copies', () => {
    const { go } = world([1, 2, 3, 4]);
    const journey = go();
    let step = journey.next();
    const ports = [port(step)];
    for (let n = 0; n < 2; n++) {
      step = fail(journey, step, ended);
      ports.push(port(step));
    }
    expect(new Set(ports).size).toBe(3);
    expect(error(fail(journey, step, ended))).toBe('502 endpoint_failure (EOF)');
  });

  test('never tries more often than there are copies', () => {
    const { go } = world([1]);
    const journey = go();
    expect(error(fail(journey, journey.next(), ended))).toBe('502 endpoint_failure (EOF)');
  });

  test('repeats a request that must not be repeated only when nothing was written', () => {
    const { go } = world([1, 2, 3]);
    const journey = go({ idempotent: false });
    const second = fail(journey, journey.next(), dial);
    expect(second.do).toBe('try');
    expect(error(fail(journey, second, ended))).toBe('502 endpoint_failure (EOF)');
  });

  test('repeats nothing after the first byte of a body, nor after a broken answer', () => {
    const one = world([1, 2]).go();
    expect(error(fail(one, one.next(), ended, true))).toMatch(/^502/);
    const two = world([1, 2]).go();
    expect(error(fail(two, two.next(), broken))).toMatch(/^502/);
  });

  test('waits for the table after every copy refused the dial, and goes on as soon as it speaks', () => {
    const { go, table } = world([1]);
    const journey = go({ idempotent: false });
    expect(fail(journey, journey.next(), dial)).toEqual({ do: 'hold', forMs: 1_000 });
    table.upsert(routeTo([7]));
    expect(port(journey.next())).toBe(7);
  });

  test('gives up that wait after 1 s of silence', () => {
    const { go, clock } = world([1]);
    const journey = go();
    expect(fail(journey, journey.next(), dial).do).toBe('hold');
    clock.ms += 1_000;
    expect(error(journey.next())).toBe('502 endpoint_failure (connection refused)');
  });

  test('holds as long as the newest table allows', () => {
    const { go, table, clock } = world([1]);
    const journey = go();
    fail(journey, journey.next(), dial);
    table.upsert(routeTo([], {}, 60_000));
    clock.ms += 400;
    expect(journey.next()).toEqual({ do: 'hold', forMs: 59_600 });
    clock.ms += 60_000;
    expect(error(journey.next())).toMatch(/^50[23]/);
  });

  test('answers 503 at once where no copy is and none is awaited', () => {
    expect(error(world([]).go().next())).toBe('503 no_endpoints');
  });

  test('answers 404 once the route is gone, or leads nowhere', () => {
    const { go, table } = world([], 60_000);
    const journey = go();
    expect(journey.next().do).toBe('hold');
    table.upsert(aRoute({ destinations: [] }));
    expect(error(journey.next())).toBe('404 unknown_route');
    table.remove('route-1');
    expect(error(journey.next())).toBe('404 unknown_route');
  });

  test('a copy that acted on the request is not asked again, whatever the table says', () => {
    const { go, table } = world([1, 2]);
    const journey = go();
    const first = journey.next();
    const second = fail(journey, first, ended);
    expect(fail(journey, second, dial).do).toBe('hold');
    table.upsert(routeTo([1, 2], { options: { changed: 'yes' } }));
    expect(port(journey.next())).toBe(port(second));
  });

  test('waits for an agent that has ended, and asks its copies again', () => {
    const { go, away, clock } = world([1]);
    const journey = go();
    let step = fail(journey, journey.next(), { ...ended, behindAgent: true });
    // The end of the agent's link is told a moment later.
    expect(step).toEqual({ do: 'hold', forMs: 100 });
    away.add(1);
    for (let looks = 0; looks < 90; looks++) {
      clock.ms += 100;
      step = journey.next();
      expect(step).toEqual({ do: 'hold', forMs: 100 });
    }
    away.clear();
    step = journey.next();
    expect(port(step)).toBe(1);
    // It has ended once more: waiting has its end.
    away.add(1);
    step = fail(journey, step, { ...dial, behindAgent: true });
    while (step.do === 'hold') {
      clock.ms += step.forMs;
      step = journey.next();
    }
    expect(error(step)).toBe('502 endpoint_failure (connection refused)');
    expect(clock.ms).toBe(1_000 + 10_000);
  });

  test('asks another copy before it waits for an agent', () => {
    const { go, away } = world([1, 2]);
    away.add(1);
    const journey = go();
    const step = fail(journey, journey.next(), { ...dial, behindAgent: true });
    expect(port(step)).toBe(1);
    away.add(2);
    expect(fail(journey, step, { ...ended, behindAgent: true })).toEqual({ do: 'hold', forMs: 100 });
  });

  test('a copy that has ended while its agent stands is told after a moment; what may not be repeated at once', () => {
    const { go, clock, away } = world([1]);
    let journey = go();
    expect(fail(journey, journey.next(), { ...ended, behindAgent: true }).do).toBe('hold');
    clock.ms += 100;
    expect(error(journey.next())).toBe('502 endpoint_failure (EOF)');
    away.add(1);
    journey = go({ idempotent: false });
    expect(error(fail(journey, journey.next(), { ...ended, behindAgent: true }))).toBe('502 endpoint_failure (EOF)');
  });

  test('selected copies: another is never asked', () => {
    const { go } = world([1, 2]);
    expect(port(go({ selector: ({ index }) => index === 1 }).next())).toBe(2);
    expect(error(go({ selector: ({ index }) => index === 9 }).next())).toBe('400 unknown_route');
  });
});

describe('balance', () => {
  test('goes round', () => {
    const { go } = world([1, 2, 3]);
    const ports = Array.from({ length: 9 }, () => port(go().next()));
    expect([1, 2, 3].map(one => ports.filter(used => used === one).length)).toEqual([3, 3, 3]);
  });

  test('passes over a copy that failed for 30 s, but for want of another', () => {
    const { go, clock } = world([1, 2]);
    const journey = go();
    const first = journey.next();
    const bad = port(first);
    fail(journey, first, ended);
    expect(Array.from({ length: 6 }, () => port(go().next()))).not.toContain(bad);
    clock.ms += 30_001;
    expect(Array.from({ length: 6 }, () => port(go().next()))).toContain(bad);
  });

  test('a sticky client stays with its copy, and moves on when that failed', () => {
    const { go } = world([1, 2, 3]);
    expect(Array.from({ length: 4 }, () => port(go({ sticky: 'copy-2' }).next()))).toEqual([3, 3, 3, 3]);
    const journey = go({ sticky: 'copy-2' });
    fail(journey, journey.next(), dial);
    expect(port(go({ sticky: 'copy-2' }).next())).not.toBe(3);
    expect(port(go({ sticky: 'copy-9' }).next())).toBeGreaterThan(0);
  });

  test('a copy that could not be dialled is out until the table states it again', () => {
    const { go, table } = world([1, 2]);
    const journey = go();
    const first = journey.next();
    fail(journey, first, dial);
    expect(new Set(Array.from({ length: 6 }, () => port(go().next()))).size).toBe(1);
    table.upsert(routeTo([1, 2]));
    expect(new Set(Array.from({ length: 6 }, () => port(go().next()))).size).toBe(2);
  });

  test('a copy that could not be dialled is tried by one request in 30 s, and is among the others once it has answered', () => {
    const { go, clock, balance, table } = world([1, 2]);
    const journey = go();
    const first = journey.next();
    const bad = port(first);
    fail(journey, first, dial);
    const ports = () => Array.from({ length: 6 }, () => port(go().next()));
    clock.ms += 30_000;
    expect(ports().filter(one => one === bad)).toHaveLength(1);
    clock.ms += 30_000;
    expect(ports().filter(one => one === bad)).toHaveLength(1);
    balance.answered(table.byGuid('route-1')?.pool.find(backend => backend.port === bad)?.key ?? '');
    expect(ports().filter(one => one === bad)).toHaveLength(3);
  });

  test('a copy that could not be dialled, or failed, is among the others once its machine is heard again', () => {
    const { go, balance } = world([1, 2, 3]);
    const journey = go();
    const second = fail(journey, journey.next(), dial);
    fail(journey, second, ended);
    const ports = () => new Set(Array.from({ length: 6 }, () => port(go().next())));
    expect(ports().size).toBe(1);
    balance.heard(() => false);
    expect(ports().size).toBe(1);
    balance.heard(() => true);
    expect(ports()).toEqual(new Set([1, 2, 3]));
  });

  test('least-connection takes the copy with the fewest requests', () => {
    const { go, table, balance } = world([1, 2]);
    table.upsert(routeTo([1, 2], { options: { loadbalancing: 'least-connection' } }));
    const [first] = table.byGuid('route-1')?.pool ?? [];
    if (first === undefined) throw new Error('no pool');
    balance.occupy(first);
    expect(Array.from({ length: 3 }, () => port(go().next()))).toEqual([2, 2, 2]);
  });

  test('by a header: the same value goes to the same copy, and to another one while that is suspected', () => {
    const { go, table } = world([1, 2, 3]);
    table.upsert(routeTo([1, 2, 3], { options: { loadbalancing: 'hash', hash_header: 'X-User' } }));
    const journey = go({ hashed: 'ann' });
    const first = journey.next();
    const own = port(first);
    expect(Array.from({ length: 4 }, () => port(go({ hashed: 'ann' }).next()))).toEqual([own, own, own, own]);
    expect(new Set(Array.from({ length: 30 }, (_, n) => port(go({ hashed: `${n}` }).next())))).toEqual(
      new Set([1, 2, 3]),
    );
    expect(new Set(Array.from({ length: 3 }, () => port(go().next()))).size).toBe(3);
    fail(journey, first, dial);
    expect(port(go({ hashed: 'ann' }).next())).not.toBe(own);
  });

  test('by a header with hash_balance: a copy that has more than its share gives way', () => {
    const { go, table, balance } = world([1, 2]);
    const options = { loadbalancing: 'hash', hash_header: 'X-User', hash_balance: '1.2' };
    table.upsert(routeTo([1, 2], { options }));
    const own = port(go({ hashed: 'ann' }).next());
    const busy = table.byGuid('route-1')?.pool.find(backend => backend.port === own);
    if (busy === undefined) throw new Error('no such copy');
    for (let n = 0; n < 5; n++) balance.occupy(busy);
    expect(port(go({ hashed: 'ann' }).next())).not.toBe(own);
  });

  test('all copies full: 503 Connection Limit Reached', () => {
    const { go, table, balance } = world([1]);
    const [only] = table.byGuid('route-1')?.pool ?? [];
    if (only === undefined) throw new Error('no pool');
    const releases = Array.from({ length: DEFAULT_SETTINGS.backendConnectionsMax }, () => balance.occupy(only));
    expect(error(go().next())).toBe('503 Connection Limit Reached');
    releases[0]?.();
    expect(port(go().next())).toBe(1);
  });
});
