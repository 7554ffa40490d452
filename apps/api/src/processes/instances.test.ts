import { describe, expect, test } from 'vitest';
import { type CopyFacts, type PlacementFacts, type ProcessFacts, readInstances } from './instances.ts';

const NOW = 1_000_000;
const aProcess = (given: Partial<ProcessFacts> = {}): ProcessFacts => ({
  guid: 'p',
  instances: 1,
  isStarted: true,
  run_spec_guid: 'spec',
  planned_at: NOW - 5_000,
  ...given,
});
const aPlacement = (given: Partial<PlacementFacts> = {}): PlacementFacts => ({
  guid: 'copy',
  process_guid: 'p',
  index_number: 0,
  run_spec_guid: 'spec',
  placed_at: NOW - 4_000,
  ...given,
});
const aCopy = (given: Partial<CopyFacts> = {}): CopyFacts => ({
  guid: 'copy',
  process_guid: 'p',
  state: 'RUNNING',
  host: '10.0.0.2',
  port: 61_001,
  routable: 1,
  restart_at: null,
  since: NOW - 3_000,
  exit_json: null,
  placement_error: null,
  cell_id: 'cell',
  ...given,
});
const none = { placements: [], copies: [], errors: [] };
const states = (...args: Parameters<typeof readInstances>) => readInstances(...args).map(({ state }) => state);

describe('readInstances()', () => {
  test('an index that nobody runs is DOWN, never left out: an empty list would count as started', () => {
    expect(states(aProcess({ instances: 2 }), none, NOW)).toEqual(['DOWN', 'DOWN']);
  });

  test('says why an index is not placed', () => {
    const errors = [{ process_guid: 'p', index_number: 0, reason: 'no cell has 4096 MB left', since: NOW - 1_000 }];
    expect(readInstances(aProcess(), { ...none, errors }, NOW)).toEqual([
      { index: 0, state: 'DOWN', since: NOW - 1_000, routable: null, details: 'no cell has 4096 MB left', copy: null },
    ]);
  });

  test('placed, and nothing heard of it yet: STARTING', () => {
    expect(states(aProcess(), { ...none, placements: [aPlacement()] }, NOW)).toEqual(['STARTING']);
  });

  test('RUNNING only by the report of the cell', () => {
    expect(states(aProcess(), { ...none, placements: [aPlacement()], copies: [aCopy()] }, NOW)).toEqual(['RUNNING']);
    const starting = { ...none, placements: [aPlacement()], copies: [aCopy({ state: 'STARTING' })] };
    expect(states(aProcess(), starting, NOW)).toEqual(['STARTING']);
  });

  test.each(['RUNNING', 'CRASHED'] as const)('a copy of a former run spec does not count, be it %s', state => {
    const former = { ...none, placements: [aPlacement({ run_spec_guid: 'old' })], copies: [aCopy({ state })] };
    expect(states(aProcess(), former, NOW)).toEqual(['DOWN']);
  });

  test('a copy without its placement does not count', () => {
    expect(states(aProcess(), { ...none, copies: [aCopy()] }, NOW)).toEqual(['DOWN']);
  });

  test('a crash that is restarted at once is STARTING, one that waits is CRASHED with its reason', () => {
    const crashed = (restart_at: number | null) => ({
      ...none,
      placements: [aPlacement()],
      copies: [aCopy({ state: 'CRASHED', restart_at, exit_json: '{"reason":"out of memory: limit 64 MB"}' })],
    });
    expect(states(aProcess(), crashed(NOW), NOW)).toEqual(['STARTING']);
    expect(states(aProcess(), crashed(NOW + 30_000), NOW)).toEqual(['CRASHED']);
    expect(readInstances(aProcess(), crashed(null), NOW)[0]).toMatchObject({
      state: 'CRASHED',
      details: 'out of memory: limit 64 MB',
    });
  });

  test('a start that never ran app code is STARTING, and says why', () => {
    const copies = [aCopy({ state: 'STARTING', placement_error: 'the droplet cannot be read' })];
    expect(readInstances(aProcess(), { ...none, placements: [aPlacement()], copies }, NOW)[0]).toMatchObject({
      state: 'STARTING',
      details: 'the droplet cannot be read',
    });
  });

  test('of two copies for one index the one that serves is shown', () => {
    const placements = [aPlacement(), aPlacement({ guid: 'newer', placed_at: NOW })];
    const copies = [aCopy(), aCopy({ guid: 'newer', state: 'STARTING' })];
    expect(readInstances(aProcess(), { ...none, placements, copies }, NOW)[0]?.copy?.guid).toBe('copy');
  });

  test('more copies than wanted are not listed', () => {
    const placements = [aPlacement(), aPlacement({ guid: 'second', index_number: 1 })];
    const copies = [aCopy(), aCopy({ guid: 'second' })];
    expect(states(aProcess(), { ...none, placements, copies }, NOW)).toEqual(['RUNNING']);
  });

  test('a stopped app has no running instance, though its copies linger', () => {
    expect(
      states(aProcess({ isStarted: false }), { ...none, placements: [aPlacement()], copies: [aCopy()] }, NOW),
    ).toEqual(['DOWN']);
  });
});
