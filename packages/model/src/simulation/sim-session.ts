/** An agent's talk with the store over the network of the simulated cluster: registration, heartbeats, reports, the watch of its placements. */
import type { Placement } from '../cluster-state.ts';
import { CELL_LIMITS } from '../limits.ts';
import type { AgentState } from './sim-agent.ts';

const RESEND_MS = 1_000;

/** `run` for this life of the agent only, and once it is awake. */
export function inLife(agent: AgentState, run: () => void): () => void {
  const { life } = agent;
  const guarded = (): void => {
    if (agent.life !== life || !agent.isUp) return;
    if (agent.thawing === null) run();
    else agent.thawing.push(guarded);
  };
  return guarded;
}

export function after(agent: AgentState, delayMs: number, run: () => void): void {
  agent.world.time.after(delayMs, inLife(agent, run));
}

/** Sends until an answer comes: the store may well hear it more than once. */
function exchange(agent: AgentState, arrive: () => void, answered: () => void): void {
  const { world, cell } = agent;
  let isAnswered = false;
  const answer = inLife(agent, () => {
    if (isAnswered) return;
    isAnswered = true;
    answered();
  });
  const send = (): void => {
    if (isAnswered) return;
    world.send(cell.id, () => {
      arrive();
      world.send(cell.id, answer);
    });
    after(agent, RESEND_MS, send);
  };
  send();
}

export function register(agent: AgentState): void {
  const { world, cell, session } = agent;
  const { store } = world;
  const arrive = (): void => {
    // One that comes late is of a former agent; one that comes twice is no new session.
    if (agent.session === session && store.cells.get(cell.id)?.session !== session) {
      world.hear(cell.id);
      store.register({ ...cell, session, counter: null });
    }
    sendView(agent);
  };
  exchange(agent, arrive, () => {
    agent.sequence = 1;
    beat(agent, 1);
    flush(agent);
  });
}

/** A lost one is not sent again: the next one comes soon. */
function beat(agent: AgentState, counter: number): void {
  const { world, cell, session } = agent;
  world.send(cell.id, () => {
    const known = world.store.cells.get(cell.id);
    if (known?.session !== session || counter <= (known.counter ?? 0)) return;
    world.hear(cell.id);
    world.store.heartbeat(cell.id, { session, counter });
  });
  after(agent, CELL_LIMITS.heartbeatMs, () => beat(agent, counter + 1));
}

/** One report at a time, sent until it is answered. What changes meanwhile goes with the next. */
export function flush(agent: AgentState): void {
  const { world, cell, session, unreported } = agent;
  if (agent.isReporting || agent.sequence === 0 || unreported.size === 0) return;
  agent.isReporting = true;
  const report = { cellId: cell.id, session, sequence: agent.sequence++, copies: [...unreported.values()] };
  unreported.clear();
  const arrive = (): void => {
    if (world.store.cells.get(cell.id)?.session === session) world.reportedAtMs.set(cell.id, world.time.nowMs);
    world.store.report(report);
  };
  exchange(agent, arrive, () => {
    agent.isReporting = false;
    flush(agent);
  });
}

/** Whole, as a watch that begins anew; an agent keeps the newest that it got. */
export function sendView(agent: AgentState): void {
  const { world, cell } = agent;
  const { revision, placements } = world.store;
  const items = new Map<string, Placement>();
  const over = new Set<string>();
  for (const placement of placements.values()) {
    if (placement.cellId !== cell.id) continue;
    items.set(placement.guid, placement);
    const task = world.store.tasks.get(placement.processGuid);
    if (task !== undefined && task.state !== 'PENDING') over.add(placement.guid);
  }
  const receive = (): void => {
    if (agent.view !== null && revision < agent.view.revision) return;
    agent.view = { revision, items, over, syncedAtMs: world.time.nowMs };
    agent.look();
  };
  world.send(cell.id, inLife(agent, receive));
}
