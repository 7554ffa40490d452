/**
 * Opens connections to copies: to the copy's own address on this machine, and through its agent on another one (`@cupola/certificates/members/forwarding`).
 * An agent is known by its cell's id in its certificate, whoever has come to its address.
 */
import net, { type OnReadOpts, type Socket } from 'node:net';
import tls from 'node:tls';
import { checkMember, contextOf } from '@cupola/certificates/members/dial';
import { CONNECTED, forwardName } from '@cupola/certificates/members/forwarding';
import type { IdentitySource } from '@cupola/certificates/members/identity';
import type { Backend } from '../table/route-table.ts';

export interface Dialled {
  readonly socket: Socket;
  /** The copy has taken the connection only when the agent has said {@link CONNECTED}. */
  readonly isForwarded: boolean;
}

/** Returns at once; failures come as the socket's `error`. @param onread where what it reads goes, if not to its listeners. */
export type Dial = (backend: Backend, onread?: OnReadOpts) => Dialled;

export interface Membership {
  identity: IdentitySource;
  /** The cell on the same machine, whose copies are dialled as they are; null: there is none. */
  ownCellId: string | null;
}

/** @param membership null: this router is no member of a cluster, and dials copies alone. */
export function createDial(membership: Membership | null): Dial {
  /** By cell; a handshake that goes on from a former one costs a third. */
  const sessions = new Map<string, Buffer>();

  return (backend, onread) => {
    const { via, socketPath, host, port } = backend;
    const reading = onread === undefined ? {} : { onread };
    if (via === undefined || membership === null || membership.ownCellId === via.cellId) {
      const to = socketPath === undefined ? { host, port } : { path: socketPath };
      return { socket: net.connect({ ...to, noDelay: true, keepAlive: true, ...reading }), isForwarded: false };
    }
    let secureContext: tls.SecureContext;
    try {
      secureContext = contextOf(membership.identity.current());
    } catch (error) {
      // It has not joined yet.
      const socket = new net.Socket();
      process.nextTick(() => socket.destroy(error as Error));
      return { socket, isForwarded: true };
    }
    const session = sessions.get(via.cellId);
    const socket = tls.connect({
      host: via.host,
      port: via.port,
      secureContext,
      servername: forwardName(backend.instanceGuid),
      checkServerIdentity: checkMember(members =>
        members.some(({ role, id }) => role === 'agent' && id === via.cellId),
      ),
      ...(session === undefined ? {} : { session }),
      ...reading,
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    socket.on('session', ticket => sessions.set(via.cellId, ticket));
    return { socket, isForwarded: true };
  };
}

/** Tells once a copy has taken the connection, for a socket without `onread`. Nothing is called when it fails: the socket's `error` or `close` says so. */
export function whenTaken({ socket, isForwarded }: Dialled, taken: () => void): void {
  if (!isForwarded) return void socket.once('connect', taken);
  const look = (): void => {
    const said: Buffer | null = socket.read(1);
    if (said === null) return;
    socket.off('readable', look);
    if (said[0] === CONNECTED) taken();
    else socket.destroy(new Error('the agent did not pass the connection on'));
  };
  socket.on('readable', look);
}
