import type { RouteItem } from '@cupola/contract/internal';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aDestination, aRoute } from '../fixtures.ts';
import { createRouteTable, type RouteTable, type TableListener } from './route-table.ts';

const silent: TableListener = { routeChanged: () => undefined, backendGone: () => undefined };

/** The rule in as few words as possible: nearest host first, then the longest path that ends at a border; equal claims go to the smaller guid. */
function naive(items: readonly RouteItem[], host: string, target: string): string | null {
  const path = (target.split(/[?#]/)[0] ?? '').toLowerCase();
  const labels = host.split('.');
  const hosts = [host, ...labels.slice(1).map((_, at) => `*.${labels.slice(at + 1).join('.')}`)];
  for (const wanted of hosts) {
    const claims = items
      .filter(item => (item.host === '' ? item.domain : `${item.host}.${item.domain}`).toLowerCase() === wanted)
      .filter(item => {
        const own = item.path.toLowerCase();
        return own === '' || path === own || path.startsWith(`${own}/`);
      })
      .sort((a, b) => b.path.length - a.path.length || (a.guid < b.guid ? -1 : 1));
    if (claims[0] !== undefined) return claims[0].guid;
  }
  return null;
}

const label = fc.constantFrom('a', 'b', 'app', 'a-b');
const domain = fc.constantFrom('localhost', 'b.localhost', 'a.b.localhost');
const segment = fc.constantFrom('x', 'xy', 'X', 'y', '', '%2F');
const path = fc
  .array(fc.constantFrom('x', 'xy', 'X', 'y', '%2F'), { maxLength: 3 })
  .map(parts => parts.map(part => `/${part}`).join(''));
const target = fc
  .tuple(fc.array(segment, { maxLength: 5 }), fc.constantFrom('', '?q=/x', '/', '?'))
  .map(([parts, end]) => `/${parts.join('/')}${end}`);
const item = fc
  .record({
    guid: fc.integer({ min: 0, max: 12 }).map(n => `g${n}`),
    host: fc.oneof(label, fc.constantFrom('*', '')),
    domain,
    path,
  })
  .map(route => aRoute(route));
const host = fc.tuple(fc.array(label, { maxLength: 3 }), domain).map(([labels, end]) => [...labels, end].join('.'));
const change = fc.oneof(
  item.map(one => ({ do: 'upsert' as const, one })),
  fc.integer({ min: 0, max: 12 }).map(n => ({ do: 'remove' as const, guid: `g${n}` })),
  fc.uniqueArray(item, { selector: one => one.guid, maxLength: 6 }).map(items => ({ do: 'replace' as const, items })),
);

function apply(table: RouteTable, step: { do: string; one?: RouteItem; guid?: string; items?: RouteItem[] }): void {
  if (step.one !== undefined) table.upsert(step.one);
  else if (step.guid !== undefined) table.remove(step.guid);
  else table.replaceAll(step.items ?? []);
}

test('find() answers what the naive rule answers, after any changes', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 30 }),
      fc.array(fc.tuple(host, target), { minLength: 1, maxLength: 20 }),
      (steps, questions) => {
        const table = createRouteTable(silent);
        for (const step of steps) apply(table, step);
        for (const [asked, at] of questions)
          expect(table.find(asked, at)?.item.guid ?? null).toBe(naive(table.items(), asked, at));
      },
    ),
    { numRuns: 500 },
  );
});

test('10,000 random changes leave the same table as a fresh one with the same items', () => {
  const [steps] = fc.sample(fc.array(change, { minLength: 10_000, maxLength: 10_000 }), { numRuns: 1, seed: 7 });
  const questions = fc.sample(fc.tuple(host, target), { numRuns: 2_000, seed: 8 });
  const changed = createRouteTable(silent);
  for (const step of steps ?? []) apply(changed, step);
  const fresh = createRouteTable(silent);
  fresh.replaceAll([...changed.items()].reverse());
  const answersOf = (table: RouteTable): (string | null)[] =>
    questions.map(([asked, at]) => table.find(asked, at)?.item.guid ?? null);
  expect(changed.size).toBeGreaterThan(0);
  expect(answersOf(changed)).toEqual(answersOf(fresh));
});

test('backendGone is told exactly for the copies that no route names any more', () => {
  const endpoint = fc.record({
    instanceGuid: fc.constantFrom('i1', 'i2', 'i3'),
    index: fc.constant(0),
    host: fc.constant('127.0.0.1'),
    port: fc.constantFrom(1, 2),
  });
  const withEndpoints = fc
    .tuple(item, fc.uniqueArray(endpoint, { maxLength: 3, selector: e => `${e.instanceGuid} ${e.port}` }))
    .map(([one, endpoints]) => ({ ...one, destinations: [aDestination({ endpoints })] }));
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          withEndpoints.map(one => ({ do: 'upsert', one })),
          fc.integer({ min: 0, max: 12 }).map(n => ({ do: 'remove', guid: `g${n}` })),
        ),
        { maxLength: 40 },
      ),
      steps => {
        const alive = new Set<string>();
        const table = createRouteTable({
          routeChanged: (_, entry) => {
            for (const { key } of entry?.pool ?? []) alive.add(key);
          },
          backendGone: key => alive.delete(key),
        });
        for (const step of steps) apply(table, step);
        const named = table
          .items()
          .flatMap(one =>
            one.destinations.flatMap(({ endpoints }) => endpoints.map(e => `${e.instanceGuid} ${e.host}:${e.port}`)),
          );
        expect([...alive].sort()).toEqual([...new Set(named)].sort());
      },
    ),
    { numRuns: 300 },
  );
});
