/**
 * Takes what instances of this cell send to doors (`Networks.connect`), and passes it on to instances of other machines through their agents
 * (`@cupola/certificates/members/forwarding`). Who may reach whom is asked once more for each connection: rules of the host may be a moment behind. The other
 * agent asks for itself, and hears who has dialled.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { checkMember, contextOf } from '@cupola/certificates/members/dial';
import { CONNECTED, type PeerCall, peerName } from '@cupola/certificates/members/forwarding';
import type { IdentitySource } from '@cupola/certificates/members/identity';
import type { Logger } from 'pino';
import { createPassing } from '../forward/passing.ts';

/** One that may be made, and the agent it goes through. */
export interface Way {
  call: PeerCall;
  cell: { guid: string; host: string; port: number };
}

export interface GateDeps {
  identity: IdentitySource;
  /** For what has come from an address of this cell to a door; null: there is none. */
  wayOf(fromAddress: string, door: string): Way | null;
  /** `fd`: a bound socket of every address, which the supervisor passed on, so that connections wait while an agent is started anew. */
  listen: { fd: number } | { host: string; port: number };
  log: Logger;
}

export interface Gate extends AsyncDisposable {
  /** Of every door. */
  readonly port: number;
  /** What goes through other cells than these ends: they are lost, and may never say so. */
  keepCells(guids: ReadonlySet<string>): void;
}

/** As an instance on this machine is waited for by its agent (ours). */
const DIAL_MS = 6_000;
const KEEP_ALIVE_MS = 15_000;
/** As many connections as the kernel lets wait while an agent is started anew. */
const BACKLOG = 4_096;
/** At the same time, of one instance: each holds file descriptors of two agents, which serve others too (ours). */
const OPEN_OF_ONE_MAX = 1_000;

export async function startGate({ identity, wayOf, listen, log }: GateDeps): Promise<Gate> {
  /** By the cell that it goes through. */
  const passing = createPassing<string>();
  const waiting = new Map<Socket, Promise<void>>();
  /** By cell: a handshake that goes on from a former one costs a third. */
  const sessions = new Map<string, Buffer>();
  const open = new Map<string, number>();
  const count = (from: string, by: number): number => {
    const now = (open.get(from) ?? 0) + by;
    if (now === 0) open.delete(from);
    else open.set(from, now);
    return now;
  };

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, source => {
    source.on('error', () => undefined); // `close` says so.
    const from = source.remoteAddress ?? '';
    const isFlood = count(from, 1) > OPEN_OF_ONE_MAX;
    source.once('close', () => count(from, -1));
    const way = isFlood ? null : wayOf(from, source.localAddress ?? '');
    if (way === null) return void source.resetAndDestroy();
    const passed = pass(source, way).catch((error: unknown) => {
      log.debug({ err: error, ...way }, 'an instance of another machine was not reached');
      source.resetAndDestroy();
    });
    waiting.set(source, passed);
    source.once('close', () => waiting.delete(source));
  });

  async function pass(source: Socket, { call, cell }: Way): Promise<void> {
    // Nothing has been said before it is taken. An agent that ends lets go of what it has not passed on yet; the next one hears it.
    const far = await reach(source, () => dial(call, cell)).catch(() => reach(source, () => dial(call, cell)));
    waiting.delete(source);
    // Whatever they speak: one may have said all that it says, and listen still.
    far.allowHalfOpen = true;
    passing.join([source, far], cell.guid);
  }

  function dial(call: PeerCall, { guid, host, port }: Way['cell']): TLSSocket {
    const session = sessions.get(guid);
    const far = connect({
      host,
      port,
      secureContext: contextOf(identity.current()),
      servername: peerName(call),
      checkServerIdentity: checkMember(members => members.some(({ role, id }) => role === 'agent' && id === guid)),
      ...(session === undefined ? {} : { session }),
    });
    far.setKeepAlive(true, KEEP_ALIVE_MS);
    far.on('session', ticket => sessions.set(guid, ticket));
    return far;
  }

  server.listen({ ...listen, backlog: BACKLOG });
  await once(server, 'listening');
  server.on('error', error => log.warn({ err: error }, 'a connection of an instance could not be taken'));
  return {
    port: (server.address() as AddressInfo).port,
    keepCells: guids => {
      passing.endWhere(guid => !guids.has(guid));
      for (const guid of [...sessions.keys()]) if (!guids.has(guid)) sessions.delete(guid);
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      await Promise.allSettled(waiting.values());
      await passing.drain();
      await closed;
    },
  };
}

/** @throws when it is not taken, or the source has gone meanwhile. */
async function reach(source: Socket, dial: () => TLSSocket): Promise<TLSSocket> {
  if (source.destroyed) throw new Error('the instance has gone');
  const far = dial();
  const giveUp = (): void => void far.destroy();
  source.once('close', giveUp);
  await taken(far);
  source.off('close', giveUp);
  return far;
}

/** @throws when the agent does not say in time that the instance has taken the connection. */
function taken(far: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => far.destroy(new Error('nobody answered in time')), DIAL_MS);
    const look = (): void => {
      const said: Buffer | null = far.read(1);
      if (said === null) return;
      far.off('readable', look);
      if (said[0] === CONNECTED) settle(resolve);
      else far.destroy(new Error('the agent did not pass the connection on'));
    };
    const closed = (): void => settle(() => reject(new Error('the other agent has ended the connection')));
    const settle = (how: () => void): void => {
      clearTimeout(timer);
      far.off('close', closed);
      how();
    };
    far.on('readable', look);
    far.on('error', reject);
    far.once('close', closed);
  });
}
