import { expect, test } from 'vitest';
import { decideTask, isTaskCancelable, type TaskFacts, taskDueInMs } from './tasks.ts';

const aCopy = (given: Partial<NonNullable<TaskFacts['copy']>> = {}): TaskFacts['copy'] => ({
  state: 'RUNNING',
  startErrors: 0,
  placementError: null,
  exit: null,
  ...given,
});
/** Placed a moment ago on a cell that lives. */
const aTask = (given: Partial<TaskFacts> = {}): TaskFacts => ({
  state: 'PENDING',
  ageMs: 0,
  placement: { isCellLost: false },
  copy: null,
  waitingReason: null,
  ...given,
});
const exit = (given = {}) => ({ code: 0, outOfMemory: false, reason: 'APP/TASK/t: Exited with status 0', ...given });
const failed = (failureReason: string) => ({ state: 'FAILED', failureReason });

test('decideTask() waits for the cell', () => {
  expect(decideTask(aTask())).toBeNull();
  expect(decideTask(aTask({ placement: null }))).toBeNull();
  expect(decideTask(aTask({ copy: aCopy({ state: 'STARTING' }) }))).toBeNull();
});

test('decideTask() is RUNNING when its cell says so', () => {
  expect(decideTask(aTask({ copy: aCopy() }))).toEqual({ state: 'RUNNING', failureReason: null });
  expect(decideTask(aTask({ state: 'RUNNING', copy: aCopy() }))).toBeNull();
});

test.each(['PENDING', 'RUNNING'] as const)('decideTask() of one that was %s ends with its command', state => {
  const end = (given = {}) => decideTask(aTask({ state, copy: aCopy({ state: 'CRASHED', exit: exit(given) }) }));
  expect(end()).toEqual({ state: 'SUCCEEDED', failureReason: null });
  expect(end({ code: 3, reason: 'APP/TASK/t: Exited with status 3' })).toEqual(
    failed('APP/TASK/t: Exited with status 3'),
  );
  expect(end({ outOfMemory: true, reason: 'out of memory' })).toEqual(failed('out of memory'));
});

test('decideTask() fails when its cell is lost, whether it was known to run or not', () => {
  const placement = { isCellLost: true };
  expect(decideTask(aTask({ placement }))).toEqual(failed('the cell that ran it was lost before it completed'));
  expect(decideTask(aTask({ state: 'RUNNING', placement, copy: aCopy() }))?.state).toBe('FAILED');
});

test('decideTask() never lets one run a second time: a RUNNING one that is nowhere has failed', () => {
  expect(decideTask(aTask({ state: 'RUNNING', placement: null }))).toEqual(
    failed('Unable to determine completion status'),
  );
});

test('decideTask() gives up after three starts that never ran its code', () => {
  const copy = (startErrors: number) => aCopy({ state: 'STARTING', placementError: 'no sandbox', startErrors });
  expect(decideTask(aTask({ copy: copy(2) }))).toBeNull();
  expect(decideTask(aTask({ copy: copy(3) }))).toEqual(failed('no sandbox'));
});

test('decideTask() gives up one that no cell has taken for half an hour, and says why', () => {
  const waitingReason = 'no room';
  expect(decideTask(aTask({ placement: null, ageMs: 1_799_999, waitingReason }))).toBeNull();
  expect(decideTask(aTask({ placement: null, ageMs: 1_800_000, waitingReason }))).toEqual(
    failed('Task expired in PENDING state: no room'),
  );
});

test('decideTask() has cancelled one when nothing of it is left', () => {
  const canceling = (given: Partial<TaskFacts>) => decideTask(aTask({ state: 'CANCELING', ...given }));
  expect(canceling({ copy: aCopy({ state: 'STOPPING' }), placement: null })).toBeNull();
  expect(canceling({ copy: null })).toBeNull();
  expect(canceling({ copy: null, placement: null })).toEqual(failed('task was cancelled'));
});

test('taskDueInMs(), isTaskCancelable()', () => {
  expect(taskDueInMs({ state: 'PENDING', ageMs: 1_000 })).toBe(1_799_000);
  expect(taskDueInMs({ state: 'RUNNING', ageMs: 1_000 })).toBeNull();
  expect([isTaskCancelable('PENDING'), isTaskCancelable('FAILED')]).toEqual([true, false]);
});
