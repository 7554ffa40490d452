import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterCrash, type CellView, decideCopies, isNewer, type KnownCopy, type WantedCopy } from './cell-plan.ts';
import { CELL_LIMITS } from './limits.ts';

const NOW = 1_000_000;
const guid = fc.integer({ min: 0, max: 11 }).map(n => `copy-${n}`);
const order = { generation: fc.integer({ min: 1, max: 3 }), startSequence: fc.integer({ min: 0, max: 2 }) };
const wanted: fc.Arbitrary<WantedCopy> = fc.record({ guid, ...order });
const near = fc.integer({ min: NOW - 40_000, max: NOW + 40_000 });
const copy: fc.Arbitrary<KnownCopy> = fc
  .record({
    guid,
    ...order,
    phase: fc.constantFrom('waiting', 'starting', 'running', 'stopping', 'stopped'),
    startAtMs: fc.option(near),
    since: fc.integer({ min: NOW - 30_000, max: NOW }),
  })
  .map(({ since, ...rest }) => ({ ...rest, startingSinceMs: rest.phase === 'starting' ? since : null }));
const unique = <T extends { guid: string }>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.uniqueArray(one, { selector: ({ guid: key }) => key, maxLength: 10 });
const view: fc.Arbitrary<CellView> = fc.record({
  now: fc.constant(NOW),
  wanted: unique(wanted),
  fresh: fc.boolean(),
  copies: unique(copy),
});

const ends = ({ actions }: ReturnType<typeof decideCopies>) =>
  actions.filter(action => action.do === 'stop' || action.do === 'forget');

test('decideCopies() never ends what an old or missing view lacks', () => {
  fc.assert(
    fc.property(view, seen => {
      const found = new Map(seen.copies.map(known => [known.guid, known]));
      const placed = new Map(seen.wanted.map(placement => [placement.guid, placement]));
      const wrong = ends(decideCopies({ ...seen, fresh: false })).filter(action => {
        const known = found.get(action.guid);
        const placement = placed.get(action.guid);
        return known === undefined || placement === undefined || !isNewer(placement, known);
      });
      expect(wrong).toEqual([]);
    }),
  );
});

test('decideCopies() never ends what is wanted as it is, fresh or not', () => {
  fc.assert(
    fc.property(view, seen => {
      const same = { ...seen, wanted: seen.copies.map(({ guid: key, ...rest }) => ({ ...rest, guid: key })) };
      expect(ends(decideCopies(same))).toEqual([]);
    }),
  );
});

test('decideCopies() never starts what runs, is being started, or waits for its crash time', () => {
  fc.assert(
    fc.property(view, seen => {
      const found = new Map(seen.copies.map(known => [known.guid, known]));
      const { actions } = decideCopies(seen);
      const renewed = new Set(actions.flatMap(action => (action.do === 'renew' ? [action.guid] : [])));
      const wrong = actions.filter(action => {
        const known = found.get(action.guid);
        if (action.do !== 'start' || known === undefined || renewed.has(action.guid)) return false;
        return known.phase !== 'waiting' || known.startAtMs === null || known.startAtMs > NOW;
      });
      expect(wrong).toEqual([]);
    }),
  );
});

test('decideCopies() never begins more starts at once than the cell may', () => {
  fc.assert(
    fc.property(view, seen => {
      const busy = seen.copies.filter(({ startingSinceMs }) => (startingSinceMs ?? 0) > NOW - 10_000).length;
      const starts = decideCopies(seen).actions.filter(action => action.do === 'start').length;
      expect(starts).toBeLessThanOrEqual(Math.max(0, CELL_LIMITS.startsInFlight - busy));
    }),
  );
});

test('decideCopies() takes each guid in no more than the steps take or renew, then start', () => {
  fc.assert(
    fc.property(view, seen => {
      const steps = Map.groupBy(decideCopies(seen).actions, action => action.guid);
      const allowed = ['take', 'take,start', 'renew', 'renew,start', 'start', 'stop', 'forget'];
      for (const actions of steps.values()) expect(allowed).toContain(actions.map(action => action.do).join());
    }),
  );
});

interface World {
  now: number;
  wanted: Map<string, WantedCopy>;
  copies: Map<string, KnownCopy & { crashCount: number }>;
}

/** Takes the actions as an agent would whose starts and stops succeed at once. */
function settle(world: World): number | null {
  for (;;) {
    const plan = decideCopies({
      now: world.now,
      wanted: [...world.wanted.values()],
      fresh: true,
      copies: [...world.copies.values()],
    });
    if (plan.actions.length === 0) return plan.wakeAtMs;
    for (const action of plan.actions) {
      const known = world.copies.get(action.guid);
      const placement = world.wanted.get(action.guid);
      if (action.do === 'forget') world.copies.delete(action.guid);
      else if (known && action.do === 'start') {
        known.phase = 'running';
        known.startAtMs = null;
      } else if (known && action.do === 'stop') known.phase = 'stopped';
      else if (placement)
        world.copies.set(action.guid, {
          ...placement,
          phase: 'waiting',
          startAtMs: world.now,
          startingSinceMs: null,
          crashCount: 0,
        });
    }
  }
}

/** Lets time pass until nothing is left to do. */
function settleAll(world: World): void {
  for (let wakeAtMs = settle(world); wakeAtMs !== null; wakeAtMs = settle(world)) world.now = wakeAtMs;
}

/** A copy that lives so long, time after time: how long the cell waited before each next start. */
function waitsBetween(livesMs: number[]): number[] {
  const world: World = {
    now: NOW,
    wanted: new Map([['copy-0', { guid: 'copy-0', generation: 1, startSequence: 0 }]]),
    copies: new Map(),
  };
  settle(world);
  return livesMs.map(ranMs => {
    const known = world.copies.get('copy-0');
    world.now += ranMs;
    if (known) Object.assign(known, afterCrash(known.crashCount, { ranMs, now: world.now }), { phase: 'waiting' });
    const crashedAt = world.now;
    settleAll(world);
    return known?.phase === 'running' ? world.now - crashedAt : Number.NaN;
  });
}

/** The table, read a second time in the plainest words. */
function tableWaits(livesMs: number[]): number[] {
  const table = [0, 0, 30_000, 60_000, 120_000, 240_000, 480_000, 960_000];
  let row = 0;
  return livesMs.map(ranMs => {
    row = ranMs > 300_000 ? 1 : row + 1;
    return table[Math.min(row, table.length) - 1] ?? Number.NaN;
  });
}

test('decideCopies() in the end runs exactly what a fresh view wants', () => {
  fc.assert(
    fc.property(unique(wanted), unique(copy), (placements, copies) => {
      const calm = copies.filter(({ phase }) => phase !== 'starting' && phase !== 'stopping');
      const world: World = {
        now: NOW,
        wanted: new Map(placements.map(placement => [placement.guid, placement])),
        copies: new Map(calm.map(known => [known.guid, { ...known, crashCount: 0 }])),
      };
      settleAll(world);
      expect([...world.copies.keys()].sort()).toEqual([...world.wanted.keys()].sort());
      const idle = [...world.copies.values()].filter(({ phase }) => phase !== 'running');
      expect(idle.filter(({ phase, startAtMs }) => phase !== 'waiting' || startAtMs !== null)).toEqual([]);
    }),
  );
});

test('decideCopies() with afterCrash() waits exactly as the table says, each time', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 1, maxLength: 12 }), livesMs => {
      expect(waitsBetween(livesMs)).toEqual(tableWaits(livesMs));
    }),
  );
});
