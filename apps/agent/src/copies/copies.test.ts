import { expect, test } from 'vitest';
import { aPlacement, aRunSpec, silentLog } from '../fixtures.ts';
import { openUids } from '../host/uids.ts';
import { createPlacementView } from '../session/placement-view.ts';
import { createCopies } from './copies.ts';
import type { Copy } from './copy.ts';
import type { CopyRecord } from './record.ts';
import { createWords } from './words.ts';

/** Copies whose starts get no further than their layers, which never come. */
function theCopies() {
  const nobody = (): never => {
    throw new Error('this start should not come so far');
  };
  const never = new Promise<never>(() => undefined);
  const sender = { offer: () => undefined, add: nobody, lose: nobody, run: nobody, settled: nobody };
  const view = createPlacementView(() => 0);
  const saved: CopyRecord[] = [];
  const touched: Array<Copy | null> = [];
  const copies = createCopies({
    sandboxes: { report: {} as never, start: nobody, adopt: nobody, close: nobody },
    layers: { ensure: () => never, ensureImage: nobody, sizeBytes: nobody, collect: nobody },
    changes: { prepare: nobody, bring: nobody, taken: nobody, remove: nobody, removeOthers: nobody },
    addresses: { lease: nobody, take: nobody, release: nobody },
    uids: openUids({ folder: '', range: null, now: () => 0 }),
    records: {
      all: () => [],
      save: record => void saved.push(record),
      remove: nobody,
      position: nobody,
      savePosition: nobody,
    },
    sender,
    words: createWords({ cellId: 'cell-1', sender, now: () => 0 }),
    view,
    touched: guid => void touched.push(copies.get(guid)),
    crashed: nobody,
    gone: nobody,
    log: silentLog,
    now: () => 0,
    monotonic: () => 0,
    sandboxStartMs: 1_000,
    langOf: () => 'C.UTF-8',
    stackRoot: () => null,
  });
  return { copies, view, saved, touched, [Symbol.asyncDispose]: copies.leave };
}

test('look() has a copy before anybody hears of it, and writes it down once for its start', async () => {
  await using at = theCopies();
  at.view.upsert(aPlacement(aRunSpec([]), { guid: 'a' }));
  at.copies.look();
  expect(at.touched.map(copy => copy?.record.phase)).toEqual(['starting']);
  expect(at.saved.map(({ phase, attempt }) => [phase, attempt])).toEqual([['starting', 1]]);
});

test('look() writes down what has to wait for its turn', async () => {
  await using at = theCopies();
  const guids = ['a', 'b', 'c', 'd', 'e'];
  for (const guid of guids) at.view.upsert(aPlacement(aRunSpec([]), { guid }));
  at.copies.look();
  expect(at.saved.map(({ placement, phase }) => [placement.guid, phase]).sort()).toEqual([
    ['a', 'starting'],
    ['b', 'starting'],
    ['c', 'starting'],
    ['d', 'starting'],
    ['e', 'waiting'],
  ]);
});
