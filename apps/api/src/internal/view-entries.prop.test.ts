import fc from 'fast-check';
import { expect, test } from 'vitest';
import { apply } from './fixtures.ts';
import { createViewEntries, type Entry } from './view-entries.ts';

interface Step {
  /** Guid to its new content and audience; null: gone. */
  changes: Array<{ guid: string; to: { audience: string; version: number } | null }>;
  /** How many lines the watcher reads before its connection ends; null: it stays. A watcher without a connection makes one first. */
  cutAfter: number | null;
  /** The process of the API is a new one, after these changes. */
  restarts: boolean;
  /** The store was restored: another epoch. */
  newEpoch: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  changes: fc.array(
    fc.record({
      guid: fc.constantFrom('a', 'b', 'c', 'd'),
      to: fc.option(fc.record({ audience: fc.constantFrom('mine', 'other'), version: fc.nat(3) })),
    }),
    { maxLength: 4 },
  ),
  cutAfter: fc.option(fc.nat(3)),
  restarts: fc.boolean(),
  newEpoch: fc.boolean(),
});

function entriesOf(truth: ReadonlyMap<string, { audience: string; version: number }>): Entry[] {
  return [...truth].map(([guid, { audience, version }]) => ({
    guid,
    audience,
    text: JSON.stringify({ guid, version }),
    dueAtMs: null,
  }));
}

/** The API's side: the truth, and its view as one process after another keeps it. */
function aWorld() {
  const truth = new Map<string, { audience: string; version: number }>();
  let cursor = { epoch: 'e0', revision: 0 };
  let entries = createViewEntries();
  entries.reset([], cursor);
  return {
    truth,
    missed: (after: typeof cursor | null) => entries.missed('mine', after, cursor),
    /** Answers the lines for those who are connected; null when their connection has ended with the process. */
    change: ({ changes, restarts, newEpoch }: Step): string[] | null => {
      for (const { guid, to } of changes) to === null ? truth.delete(guid) : truth.set(guid, to);
      cursor = { epoch: newEpoch ? `${cursor.epoch}'` : cursor.epoch, revision: cursor.revision + changes.length };
      const guids = changes.map(({ guid }) => guid);
      const found = entriesOf(truth).filter(({ guid }) => guids.includes(guid));
      const lines = entries.take(guids, found, cursor).filter(({ audience }) => audience === 'mine');
      if (!restarts && !newEpoch) return lines.map(({ line }) => line);
      entries = createViewEntries();
      entries.reset(entriesOf(truth), cursor);
      return null;
    },
  };
}

test('a watcher that is cut anywhere and resumes knows in the end what a fresh snapshot says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), steps => {
      const world = aWorld();
      const known = new Map<string, { guid: string }>();
      let after: { epoch: string; revision: number } | null = null;
      let isConnected = false;
      const read = (line: string): void => {
        const said = JSON.parse(line);
        apply(known, said);
        after = { epoch: said.epoch, revision: said.revision };
      };
      for (const one of steps) {
        const told = world.change(one);
        // Part of what a process that is killed has to say may still arrive.
        const lines = isConnected ? (told ?? []) : world.missed(after);
        lines.slice(0, one.cutAfter ?? lines.length).forEach(read);
        isConnected = one.cutAfter === null && (told !== null || !isConnected);
      }
      world.missed(after).forEach(read);
      const fresh = new Map<string, { guid: string }>();
      for (const line of world.missed(null)) apply(fresh, JSON.parse(line));
      expect([...known].sort()).toEqual([...fresh].sort());
      const mine = [...world.truth].filter(([, { audience }]) => audience === 'mine').map(([guid]) => guid);
      expect([...fresh.keys()].sort()).toEqual(mine.sort());
    }),
    { numRuns: 4_000 },
  );
});
