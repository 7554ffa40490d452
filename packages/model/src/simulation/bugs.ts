/**
 * Bugs that somebody could have written, each as the smallest change of the real code. The simulated cluster must find every one of them: a simulation
 * that finds nothing may be one that sees nothing. `bugs.test.ts` applies each to a copy of this package; a `was` that is no longer in its file fails there.
 */
export interface SeededBug {
  name: string;
  /** In `packages/model/src`. */
  file: string;
  was: string;
  is: string;
}

export const SEEDED_BUGS: readonly SeededBug[] = [
  {
    name: 'a restart ends the old copy as soon as the new one is placed',
    file: 'settle.ts',
    was: 'if (current?.isServing) withdraw(board, former',
    is: 'if (current !== null) withdraw(board, former',
  },
  {
    name: 'a copy on a lost cell counts as one that serves',
    file: 'board.ts',
    was: 'isServing: isRunning && copy.routable && !isLost && lease.isProven',
    is: 'isServing: isRunning && copy.routable',
  },
  {
    name: 'a lease is lost after one missed heartbeat',
    file: 'observe.ts',
    was: 'clockMs - known.movedAtMs >= CELL_LIMITS.leaseTtlMs',
    is: 'clockMs - known.movedAtMs > CELL_LIMITS.heartbeatMs',
  },
  {
    name: 'an old plan is written though its user has changed his mind',
    file: 'still-holds.ts',
    was: 'if (was(action) !== is(action)) return false;',
    is: "if (action.do === 'mark' && was(action) !== is(action)) return false;",
  },
  {
    name: 'the second wait of the crash table is skipped',
    file: 'crash-table.ts',
    was: 'const AT_ONCE_MAX = 2;',
    is: 'const AT_ONCE_MAX = 3;',
  },
  {
    name: 'an agent stops what an old view lacks',
    file: 'cell-plan.ts',
    was: 'if (!fresh) wait(copy);',
    is: "if (!fresh && phase !== 'running') wait(copy);",
  },
  {
    name: 'a stopped app does not linger',
    file: 'settle.ts',
    was: 'const endMs = sinceMs + STOP_LINGER_MS;',
    is: 'const endMs = sinceMs + STOP_LINGER_MS / 2;',
  },
  {
    name: 'a copy that is still stopping holds no memory',
    file: 'floor.ts',
    was: 'if (kept.has(copy.guid) || load === undefined) continue;',
    is: "if (kept.has(copy.guid) || load === undefined || copy.state === 'STOPPING') continue;",
  },
  {
    name: 'a replaced copy stays placed when its cell comes back',
    file: 'settle.ts',
    was: 'if (other === best) continue;',
    is: 'if (other === best || other.isRunning) continue;',
  },
  {
    name: 'generations begin anew when nothing is left of an index',
    file: 'place-demands.ts',
    was: 'Math.max(known, state.generationFloor) + 1',
    is: 'known + 1',
  },
  {
    name: 'a deployment ends when all new instances are wanted, before they serve',
    file: 'deployments.ts',
    was: 'deploying.instances >= canaries && deploying.serving >= canaries',
    is: 'deploying.instances >= canaries',
  },
  {
    name: 'a superseded version that never got healthy costs one that serves',
    file: 'deployments.ts',
    was: 'Math.max(fewest, countFor(process, needed - elsewhere))',
    is: 'fewest',
  },
  {
    name: 'a task that is still starting is placed once more',
    file: 'settle.ts',
    was: 'const failed = standings.filter(standing => hasFailed(board, standing));',
    is: 'const failed = standings.filter(standing => !standing.isRunning || hasFailed(board, standing));',
  },
  {
    name: 'a machine that has forgotten a task runs it again',
    file: 'simulation/sim-agent.ts',
    was: 'const isLost = agent.view?.over.has(guid) === true;',
    is: 'const isLost = false;',
  },
];
