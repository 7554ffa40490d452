/** The matrix as data: what breaks, and how. What must hold is the same for all of it, but for what a machine may lose. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ControlPlane } from '../cluster/control-plane.ts';
import type { Program } from '../cluster/programs.ts';
import type { Host } from '../hosts.ts';
import { until } from '../platform.ts';
import type { Machines } from './machines.ts';

/**
 * `freeze`: SIGSTOP for 18 s. `cut`: its machine's cable is pulled for 18 s. `power`: its machine is off for as long, with all that ran there.
 * `failover`: killed, and never back; the one that follows it is told to take over.
 */
export type Fault = 'kill' | 'freeze' | 'restart' | 'cut' | 'power' | 'failover';
export type Part =
  | 'api'
  | 'leader'
  | 'standby'
  | 'agent'
  | 'router'
  | 'stager'
  | 'cell machine'
  | 'stager machine'
  | 'postgres'
  | 'redis'
  | 's3'
  | 'primary';

/** ms. Longer than a lease. */
const LONG_MS = 18_000;
/** ms. An engine that was killed is started again by its operator's service manager. */
const ENGINE_AWAY_MS = 1_000;

export interface Breakable {
  /** Does it, and resolves when nothing is broken any more but what mends itself. */
  fault(fault: Fault): Promise<void>;
  /** Routers that a balancer would take out meanwhile. */
  routers: readonly string[];
  /** Copies may be placed again elsewhere for it (the SUSPECT rule). */
  mayMove(fault: Fault): boolean;
}

/** Faults of each part, in the order of the table. */
export const MATRIX: Record<Part, readonly Fault[]> = {
  api: ['kill', 'freeze', 'restart'],
  leader: ['kill', 'freeze', 'restart'],
  standby: ['kill', 'freeze', 'restart'],
  agent: ['kill', 'freeze', 'restart'],
  router: ['kill', 'freeze', 'restart'],
  stager: ['kill', 'freeze', 'restart'],
  'cell machine': ['cut', 'power', 'restart'],
  'stager machine': ['cut', 'power', 'restart'],
  postgres: ['kill', 'freeze', 'restart'],
  redis: ['kill', 'freeze', 'restart'],
  s3: ['kill', 'freeze', 'restart'],
  // Last: there is no other one to follow it.
  primary: ['failover'],
};

const never = (): boolean => false;

/** The one that is broken: the same in each run. */
export async function breakable(machines: Machines, part: Part): Promise<Breakable> {
  const { plane, cells, stager } = machines;
  const [, cell] = cells;
  switch (part) {
    case 'api':
      return { routers: [], mayMove: never, fault: fault => ofProgram(plane.apis[1], fault) };
    case 'leader':
    case 'standby': {
      const leads = await leader(machines);
      const victim = plane.schedulers.find(({ name }) => (name === leads) === (part === 'leader'));
      return { routers: [], mayMove: never, fault: fault => ofProgram(victim, fault) };
    }
    case 'agent':
      return { routers: [], mayMove: fault => fault === 'freeze', fault: fault => ofPart(cell, 'cell', fault) };
    case 'router':
      return { routers: [cell.address], mayMove: never, fault: fault => ofPart(cell, 'router', fault) };
    case 'stager':
      return { routers: [], mayMove: never, fault: fault => ofPart(stager, 'cell', fault) };
    case 'cell machine':
      return {
        routers: [cell.address],
        mayMove: fault => fault !== 'restart',
        fault: fault => ofMachine(machines, cell, fault),
      };
    case 'stager machine':
      return { routers: [], mayMove: never, fault: fault => ofMachine(machines, stager, fault) };
    case 'postgres': {
      const { postgres } = plane;
      return ofEngine({
        end: signal => postgres.stop(signal === 'SIGTERM' ? 'SIGINT' : signal),
        start: postgres.start,
        signal: postgres.signal,
      });
    }
    case 'primary':
      return { routers: [], mayMove: never, fault: () => failover(plane) };
    case 'redis':
    case 's3': {
      const engine = plane[part];
      return ofEngine({ end: engine.kill, start: engine.start, signal: engine.signal });
    }
  }
}

/** Name of the scheduler that leads. */
async function leader({ plane }: Machines): Promise<string> {
  return until('a scheduler leads', async () => {
    for (const { name } of plane.schedulers)
      if (/^cupola_scheduler_leading 1$/m.test((await plane.health(name, '/metrics')).body)) return name;
    return null;
  });
}

async function ofProgram(program: Program | undefined, fault: Fault): Promise<void> {
  if (program === undefined) throw new Error('there is no such program');
  if (fault === 'restart') {
    await program.stop();
    await program.start();
    return;
  }
  if (fault === 'kill') return program.kill('SIGKILL');
  program.kill('SIGSTOP');
  await pause(LONG_MS);
  program.kill('SIGCONT');
}

async function ofPart(host: Host, part: string, fault: Fault): Promise<void> {
  const pid = await host.pidOf(part);
  if (fault !== 'freeze') return void process.kill(pid, fault === 'kill' ? 'SIGKILL' : 'SIGTERM');
  process.kill(pid, 'SIGSTOP');
  await pause(LONG_MS);
  process.kill(pid, 'SIGCONT');
}

async function ofMachine({ rejoin }: Machines, host: Host, fault: Fault): Promise<void> {
  if (fault === 'restart') return void (await host.cupola(['restart']));
  await host.cable('pulled');
  if (fault === 'power') host.powerOff();
  await pause(LONG_MS);
  await host.cable('in');
  if (fault === 'power') await rejoin(host);
}

async function failover({ postgres, standby }: ControlPlane): Promise<void> {
  if (standby === null) throw new Error('no other PostgreSQL follows');
  await postgres.stop('SIGKILL');
  await pause(ENGINE_AWAY_MS);
  standby.promote();
}

interface Engine {
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  start(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

function ofEngine({ end, start, signal }: Engine): Breakable {
  return {
    routers: [],
    mayMove: never,
    fault: async fault => {
      if (fault === 'freeze') {
        signal('SIGSTOP');
        await pause(LONG_MS);
        return signal('SIGCONT');
      }
      await end(fault === 'kill' ? 'SIGKILL' : 'SIGTERM');
      await pause(ENGINE_AWAY_MS);
      await start();
    },
  };
}
