/** What a scheduler's pass wants to change, as data with reasons: it can be printed, compared, checked, and applied later only if what it was decided from still holds. */
import type { CellState } from './states.ts';

/** A copy shall run there, under a generation that was never used for its index. Its guid is given when it is written. */
export interface Place {
  do: 'place';
  processGuid: string;
  appGuid: string;
  index: number;
  generation: number;
  cellId: string;
  runSpecGuid: string;
  startSequence: number;
  memoryMb: number;
  diskMb: number;
  reason: string;
}

/**
 * Why a placement may go. `unwanted`: its user stopped, scaled down or deleted it. `superseded`: another copy serves instead. `useless`: of a former run, or
 * one too many, and not running. `failed`: its agent did not take it up, or could not start it. `room`: a planned restart whose two copies do not fit.
 */
export type WithdrawCause = 'unwanted' | 'superseded' | 'useless' | 'failed' | 'room';

/** The copy shall stop, gracefully. */
export interface Withdraw {
  do: 'withdraw';
  placementGuid: string;
  processGuid: string;
  index: number;
  cause: WithdrawCause;
  reason: string;
}

/** The index has no placement; its user reads why. */
export interface Explain {
  do: 'explain';
  processGuid: string;
  index: number;
  reason: string;
}
/** There is nothing to explain any more. */
export interface Clear {
  do: 'clear';
  processGuid: string;
  index: number;
}
/** The cell's lease was lost, or is held again. */
export interface Mark {
  do: 'mark';
  cellId: string;
  session: string;
  cellState: CellState;
}

export type Action = Place | Withdraw | Explain | Clear | Mark;

export interface Plan {
  actions: Action[];
  /** When something will be due by the mere passing of time, on the clock of `decide`; null: not before something changes. */
  nextAtMs: number | null;
}
