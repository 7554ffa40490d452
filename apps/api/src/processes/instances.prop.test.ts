import { COPY_STATES, INSTANCE_STATES } from '@cupola/model/states';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CopyFacts, type PlacementFacts, type ProcessFacts, readInstances, type Snapshot } from './instances.ts';

const NOW = 1_000_000;
const spec = fc.constantFrom('new', 'old');
const owner = fc.constantFrom('p1', 'p2');
const guids = ['a', 'b', 'c', 'd', 'e'];

const placement = (guid: string): fc.Arbitrary<PlacementFacts> =>
  fc.record({
    guid: fc.constant(guid),
    process_guid: owner,
    index_number: fc.nat(4),
    run_spec_guid: spec,
    placed_at: fc.nat(NOW),
  });
const copy = (guid: string): fc.Arbitrary<CopyFacts> =>
  fc.record({
    guid: fc.constant(guid),
    process_guid: owner,
    state: fc.constantFrom(...COPY_STATES),
    host: fc.constant(null),
    port: fc.constant(null),
    routable: fc.constantFrom(0 as const, 1 as const),
    restart_at: fc.option(fc.nat(2 * NOW)),
    since: fc.nat(NOW),
    exit_json: fc.option(fc.constant('{"reason":"boom"}')),
    placement_error: fc.option(fc.constant('no disk')),
    cell_id: fc.constant('cell'),
  });
const some = <T>(make: (guid: string) => fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.subarray(guids).chain(chosen => fc.tuple(...chosen.map(make)));
const snapshot: fc.Arbitrary<Snapshot> = fc.record({
  placements: some(placement),
  copies: some(copy),
  errors: fc.array(
    fc.record({
      process_guid: owner,
      index_number: fc.nat(4),
      reason: fc.constant('no room'),
      since: fc.nat(NOW),
    }),
  ),
});
const process: fc.Arbitrary<ProcessFacts> = fc.record({
  guid: fc.constant('p1'),
  instances: fc.nat(4),
  isStarted: fc.boolean(),
  run_spec_guid: fc.constantFrom('new', null),
  planned_at: fc.option(fc.nat(NOW)),
});

test('readInstances() has one entry for each wanted index, in order, each in a state that clients know', () => {
  fc.assert(
    fc.property(process, snapshot, (facts, seen) => {
      const instances = readInstances(facts, seen, NOW);
      expect(instances.map(({ index }) => index)).toEqual([...Array(facts.instances).keys()]);
      expect(instances.filter(({ state }) => !INSTANCE_STATES.includes(state))).toEqual([]);
    }),
  );
});

test('readInstances() never says RUNNING but of a copy that its cell says so of, of what was fixed last', () => {
  fc.assert(
    fc.property(process, snapshot, (facts, seen) => {
      const running = readInstances(facts, seen, NOW).filter(({ state }) => state === 'RUNNING');
      const proven = running.filter(({ copy: own, index }) =>
        seen.placements.some(
          one =>
            one.guid === own?.guid &&
            own.state === 'RUNNING' &&
            one.process_guid === facts.guid &&
            one.run_spec_guid === facts.run_spec_guid &&
            one.index_number === index,
        ),
      );
      expect(proven).toEqual(running);
    }),
  );
});

test('readInstances() shows nothing of a stopped app but DOWN', () => {
  fc.assert(
    fc.property(process, snapshot, (facts, seen) => {
      const instances = readInstances({ ...facts, isStarted: false }, seen, NOW);
      expect(instances.filter(({ state, copy: own }) => state !== 'DOWN' || own !== null)).toEqual([]);
    }),
  );
});

test('readInstances(): what is of another process changes nothing', () => {
  fc.assert(
    fc.property(process, snapshot, (facts, seen) => {
      const own = {
        ...seen,
        placements: seen.placements.filter(one => one.process_guid === facts.guid),
        errors: seen.errors.filter(one => one.process_guid === facts.guid),
      };
      expect(readInstances(facts, own, NOW)).toEqual(readInstances(facts, seen, NOW));
    }),
  );
});
