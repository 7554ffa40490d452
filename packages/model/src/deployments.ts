/**
 * How a deployment moves an app from its old `web` processes to a new one (CF: deployment_updater). Pure: what is so in, the next steps out. The scheduler
 * takes them, each pass anew, so a killed scheduler costs a pass; the API asks here what may be cancelled, and what may go on.
 *
 * A canary deployment moves like a rolling one, as far as its step says, and then waits for somebody to let it go on: from step to step, and after the last
 * one to the end.
 *
 * Keeps true: no step leaves fewer instances serving than are wanted, or than served before it where those were fewer; the new process gets `maxInFlight`
 * more only when none of it is starting or crashed; it ends, or pauses, only when all of it is ready. A version that never gets healthy therefore stays
 * DEPLOYING while the old one serves, until somebody cancels.
 */
import { type ClusterState, type DesiredProcess, isCurrent } from './cluster-state.ts';
import type { DeploymentState, DeploymentStatusReason, DeploymentStatusValue } from './states.ts';

/** What became of the wanted instances of one process, as far as cells with a lease say. */
export interface ProcessCount {
  guid: string;
  /** Wanted. */
  instances: number;
  /** Placed or wanted, and neither serving nor crashed. */
  starting: number;
  crashed: number;
  /** RUNNING and ready: how many, and which indices. */
  serving: number;
  servingAt: readonly number[];
}

export interface DeploymentFacts {
  state: DeploymentState;
  /** Of the new process, in the end. */
  wanted: number;
  /** Before; what a cancellation brings back. */
  original: number;
  maxInFlight: number;
  /** How far it goes before its next pause; counts while it is PREPAUSED. Null: of a rolling one. */
  canary: CanaryStep | null;
  /** Null when it has been deleted: nothing can be brought up any more. */
  deploying: ProcessCount | null;
  /** The other processes of its type, oldest first. */
  others: readonly ProcessCount[];
  /** Of `others`, those that a deployment brought up which a later one has superseded while it moved to them wholly. */
  superseded: ReadonlySet<string>;
  /** The same of deployments that were paused, on their way to a pause or cancelled: nobody goes back to those. */
  abandoned: ReadonlySet<string>;
}

/** Where a canary deployment pauses. */
export interface CanaryStep {
  /** Instances of the new version. */
  canaries: number;
  /** With those of the versions before. */
  total: number;
}

export type DeploymentStep =
  | { do: 'scale'; processGuid: string; instances: number }
  | { do: 'remove'; processGuid: string }
  /** More of the new process is ready than before. */
  | { do: 'note-health' }
  /** All canaries of the step serve. */
  | { do: 'pause' }
  | { do: 'finish'; state: 'DEPLOYED' | 'CANCELED' };

/** In the order to take them; empty: nothing to do until something changes. */
export function decideDeployment(facts: DeploymentFacts): DeploymentStep[] {
  const { state, deploying, canary, wanted, others } = facts;
  if (state === 'CANCELING') return cancel(facts);
  if (!isProgressing(state)) return [];
  if (deploying === null) return [{ do: 'finish', state: 'CANCELED' }];
  if (state === 'PAUSED') return [];
  const { canaries, total } = (state === 'PREPAUSED' ? canary : null) ?? { canaries: wanted, total: wanted };
  const isReached = deploying.instances >= canaries && deploying.serving >= canaries;
  if (isReached && state === 'DEPLOYING')
    return [...removeAll(others), { do: 'note-health' }, { do: 'finish', state: 'DEPLOYED' }];
  const steps = scaleDown(facts, Math.max(0, total - deploying.serving));
  if (isReached) return [...steps, { do: 'note-health' }, { do: 'pause' }];
  return [...steps, ...grow(facts, deploying, canaries)];
}

function grow({ maxInFlight }: DeploymentFacts, deploying: ProcessCount, upTo: number): DeploymentStep[] {
  const mayGrow =
    deploying.starting < maxInFlight &&
    deploying.crashed === 0 &&
    // Otherwise what was asked for last has not been placed yet.
    deploying.serving >= deploying.instances - maxInFlight;
  const instances = Math.min(deploying.serving + maxInFlight, upTo);
  if (!mayGrow || instances <= deploying.instances) return [];
  return [{ do: 'scale', processGuid: deploying.guid, instances }, { do: 'note-health' }];
}

/**
 * Takes instances away until `keep` are wanted. First of those that nobody goes back to, then of processes that serve nothing, those of superseded deployments
 * before the others, since a version that never got healthy must not cost one that serves; then from the oldest on. The first of all stays with none, for a cancellation to bring back; others go.
 *
 * CF counts what is wanted alone. Here an instance that serves stays, too, while it is needed: with a crashed one below it, it is the one that a lower count
 * would take.
 */
function scaleDown(facts: DeploymentFacts, keep: number): DeploymentStep[] {
  const { others, superseded, abandoned, deploying, wanted } = facts;
  const steps: DeploymentStep[] = [];
  let surplus = others.reduce((sum, { instances }) => sum + instances, 0) - keep;
  let serving = others.reduce((sum, other) => sum + other.serving, deploying?.serving ?? 0);
  const needed = Math.min(wanted, serving);
  const rank = ({ guid, serving }: ProcessCount): number => {
    if (abandoned.has(guid)) return 0;
    return serving > 0 ? 3 : superseded.has(guid) ? 1 : 2;
  };
  for (const process of others.toSorted((a, b) => rank(a) - rank(b))) {
    const fewest = Math.max(0, process.instances - Math.max(0, surplus));
    const elsewhere = serving - process.serving;
    const left = Math.min(process.instances, Math.max(fewest, countFor(process, needed - elsewhere)));
    surplus -= process.instances - left;
    serving = elsewhere + process.servingAt.filter(index => index < left).length;
    if (left === process.instances) continue;
    if (left === 0 && process !== others[0]) steps.push({ do: 'remove', processGuid: process.guid });
    else steps.push(scaleTo(process, left));
  }
  return steps;
}

/** How many instances a process must have for `serving` of those that serve now to stay. */
function countFor({ servingAt }: ProcessCount, serving: number): number {
  if (serving <= 0) return 0;
  const last = servingAt.toSorted((a, b) => a - b)[serving - 1];
  return last === undefined ? Number.POSITIVE_INFINITY : last + 1;
}

function removeAll(others: readonly ProcessCount[]): DeploymentStep[] {
  return others.map(({ guid }) => ({ do: 'remove', processGuid: guid }));
}

/** Back to what served before: the newest superseded process that still serves, else the oldest one. */
function cancel({ deploying, others, original, superseded }: DeploymentFacts): DeploymentStep[] {
  const interim = others.findLast(({ guid, serving }) => superseded.has(guid) && serving > 0);
  const kept = interim ?? others[0];
  const finish: DeploymentStep = { do: 'finish', state: 'CANCELED' };
  // Somebody has deleted everything else: the new version is all there is.
  if (kept === undefined) return [finish];
  const gone = [...others.filter(other => other !== kept), ...(deploying === null ? [] : [deploying])];
  const steps: DeploymentStep[] = kept.instances === original ? [] : [scaleTo(kept, original)];
  return [...steps, ...removeAll(gone), finish];
}

function scaleTo({ guid }: ProcessCount, instances: number): DeploymentStep {
  return { do: 'scale', processGuid: guid, instances };
}

/** What the cells say of a process's current run. */
export function countProcess(process: DesiredProcess, state: ClusterState): ProcessCount {
  const copies = new Map(state.copies.map(copy => [copy.guid, copy]));
  const lost = new Set(state.cells.filter(cell => cell.state === 'LOST').map(({ id }) => id));
  const serving = new Set<number>();
  const crashed = new Set<number>();
  for (const placement of state.placements) {
    if (placement.processGuid !== process.guid || placement.index >= process.instances) continue;
    const copy = copies.get(placement.guid);
    if (copy === undefined || !isCurrent(placement, process) || lost.has(placement.cellId)) continue;
    if (copy.state === 'RUNNING' && copy.routable) serving.add(placement.index);
    else if (copy.state === 'CRASHED') crashed.add(placement.index);
  }
  for (const index of serving) crashed.delete(index);
  const { guid, instances } = process;
  const starting = Math.max(0, instances - serving.size - crashed.size);
  return { guid, instances, starting, crashed: crashed.size, serving: serving.size, servingAt: [...serving] };
}

/**
 * How much longer a rolling deployment takes at its pace so far, in ms; null while none of its instances is known to serve. More than `maxInFlight` are
 * asked for only when those before them serve, so that the count wanted tells how many do.
 */
export function leftMs(
  { beganAt, lastHealthyAt }: { beganAt: number; lastHealthyAt: number | null },
  { instances, maxInFlight, wanted }: { instances: number; maxInFlight: number; wanted: number },
): number | null {
  const serving = instances - maxInFlight;
  if (lastHealthyAt === null || serving <= 0) return null;
  return ((lastHealthyAt - beganAt) / serving) * (wanted - serving);
}

interface Status {
  value: DeploymentStatusValue;
  reason: DeploymentStatusReason;
}

/** What users read of a state. One that gave way to a newer deployment has the reason SUPERSEDED instead. */
export function deploymentStatus(state: DeploymentState): Status {
  const value = isCancelable(state) ? 'ACTIVE' : 'FINALIZED';
  return { value, reason: state === 'PREPAUSED' ? 'DEPLOYING' : state };
}

/** On its way to the new version, or waiting there. */
export function isProgressing(state: DeploymentState): boolean {
  return state === 'DEPLOYING' || state === 'PREPAUSED' || state === 'PAUSED';
}

/** While it is active; asking twice does no harm. */
export function isCancelable(state: DeploymentState): boolean {
  return isProgressing(state) || state === 'CANCELING';
}

export interface CanaryPlan {
  /** Percent of the instances in each step, rising; null: one canary beside all that was there. */
  weights: readonly number[] | null;
  original: number;
  /** As asked for; null: as many as there were. */
  webInstances: number | null;
}

/** Of steps that count from 1 (CF: canary_step_plan). Never more canaries than the new version shall have in the end. */
export function canaryStep({ weights, original, webInstances }: CanaryPlan, step: number): CanaryStep {
  const most = webInstances ?? original;
  const instances = Math.min(most, original);
  if (weights === null) return { canaries: Math.min(1, most), total: original + 1 };
  const weight = weights[step - 1] ?? 100;
  const canaries = Math.min(most, Math.max(1, Math.round((instances * weight) / 100)));
  return { canaries, total: weight === 100 ? canaries : instances + 1 };
}

/** What one that is PAUSED becomes when somebody lets it go on; null: it is not paused. */
export function continued(
  state: DeploymentState,
  { step, steps }: { step: number; steps: number },
): { state: 'PREPAUSED' | 'DEPLOYING'; step: number } | null {
  if (state !== 'PAUSED') return null;
  return step < steps ? { state: 'PREPAUSED', step: step + 1 } : { state: 'DEPLOYING', step };
}

/** What a deployment becomes that gives way to a newer one. */
export function supersededState(state: DeploymentState): DeploymentState {
  return state === 'DEPLOYING' ? 'DEPLOYED' : 'CANCELED';
}
