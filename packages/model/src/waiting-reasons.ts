/** Why an instance waits, in words for its user: what is so, then what helps. Nothing in them counts down, or each pass would write them anew. */
import type { Cause } from './causes.ts';
import type { CellFacts, SpecFacts } from './cluster-state.ts';
import { CELL_LIMITS } from './limits.ts';
import { copiesMaxOf, type LoadedCell } from './placement.ts';

const MS_PER_MINUTE = 60_000;

export function brakeReason(index: number): string {
  return `instance ${index} waits: more than half of the cells went silent at once. Nothing is placed for a minute, in case they come back.`;
}

/** Only the last copy of the former run that serves could make room. */
export function laterReason(index: number): string {
  return `instance ${index} waits: a copy of the former run holds its room, and serves until one of the new run does.`;
}

/** Its starts failed on every cell that could take it, and were the platform's fault. */
export function pausedReason(index: number, lastError: string): string {
  const minutes = CELL_LIMITS.sandboxErrorPauseMs / MS_PER_MINUTE;
  return `instance ${index} waits: its last ${CELL_LIMITS.sandboxErrorsMax} starts failed before the app ran (${lastError}). It is tried again within ${minutes} minutes.`;
}

/** No cell is there at all, or none in its isolation segment, or none with the stack it was staged for. */
export function noCellReason(index: number, { spec, cells }: { spec: SpecFacts; cells: readonly CellFacts[] }): string {
  if (cells.length === 0)
    return `instance ${index} waits: no cell is there to run it. "cupola status" shows whether the cell is up.`;
  const inSegment = cells.filter(({ segment }) => segment === spec.segment);
  if (inSegment.length === 0)
    return spec.segment === null
      ? `instance ${index} waits: every cell is kept for an isolation segment, and this space is in none. Ask the operator for a cell that is everybody's.`
      : `instance ${index} waits: no cell is in the isolation segment "${spec.segment}". A machine joins it by: ./cupola join ... --isolation-segment ${spec.segment}`;
  const offered = new Set(inSegment.flatMap(cell => cell.stacks.map(stack => stack.name)));
  if (offered.has(spec.stack))
    return `instance ${index} waits: the system of its cells has changed since the app was staged. Restage it: "cf restage".`;
  return `instance ${index} waits: no cell has the stack "${spec.stack}"; there is ${[...offered].sort().join(', ') || 'none'}.`;
}

/** Every cell is too full. `cells` is not empty. */
export function noRoomReason(
  index: number,
  { spec, cells }: { spec: SpecFacts; cells: readonly LoadedCell[] },
): string {
  const where = cells.length === 1 ? 'on the cell' : `on the freest of ${cells.length} cells`;
  const memory = freest(cells, ({ cell, load }) => ({ free: cell.memoryMb - load.memoryMb, all: cell.memoryMb }));
  if (memory.free < spec.memoryMb)
    return `instance ${index} waits: needs ${spec.memoryMb}M, ${memory.free}M of ${memory.all}M free ${where}. Give it less memory, or stop or scale down another app.`;
  const disk = freest(cells, ({ cell, load }) => ({ free: cell.diskMb - load.diskMb, all: cell.diskMb }));
  if (disk.free < spec.diskMb)
    return `instance ${index} waits: needs ${spec.diskMb}M of disk, ${disk.free}M of ${disk.all}M free ${where}. Give it less disk, or stop or scale down another app.`;
  const copies = freest(cells, ({ cell, load }) => ({ free: copiesMaxOf(cell) - load.copies, all: copiesMaxOf(cell) }));
  if (copies.free < 1)
    return `instance ${index} waits: all ${copies.all} places for instances are taken ${where}. Stop or scale down another app.`;
  return `instance ${index} waits: no cell has ${spec.memoryMb}M of memory, ${spec.diskMb}M of disk and a place free together. Stop or scale down another app.`;
}

function freest(cells: readonly LoadedCell[], measure: (loaded: LoadedCell) => { free: number; all: number }) {
  return cells
    .map(measure)
    .reduce((best, next) => (next.free > best.free ? next : best), { free: Number.NEGATIVE_INFINITY, all: 0 });
}

/** Which of the reasons above it is, for who only has its words; null when waiting is all there is to do. */
export function waitingCause(reason: string): Cause | null {
  if (/ waits: (?:needs \d+M|all \d+ places|no cell has \d+M)/.test(reason))
    return { code: 'no-room', evidence: reason };
  if (/ waits: its last \d+ starts failed before the app ran/.test(reason))
    return { code: 'not-startable', evidence: reason };
  return null;
}
