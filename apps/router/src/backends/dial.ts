/**
 * Opens connections to copies: to the copy's own address on this machine, and through its agent on another one (`@cupola/certificates/members/forwarding`).
 * An agent is known by its cell's id in its certificate, whoever has come to its address.
 */
import net, { type OnReadOpts, type Socket } from 'node:net';
import tls from 'node:tls';
import {
  type Address,
  API_LINK_NAME,
  checkMember,
  contextOf,
  PUBLIC_API_NAME,
  writeAddress,
} from '@cupola/certificates/members/dial';
import { CONNECTED, forwardName, LINK } from '@cupola/certificates/members/forwarding';
import type { IdentitySource } from '@cupola/certificates/members/identity';
import { lookupMember } from '@cupola/certificates/members/lookup';
import type { Member } from '@cupola/certificates/members/names';
import type { Backend } from '../table/route-table.ts';

export interface Dialled {
  readonly socket: Socket;
  /** When it is there: on this event; or, through an agent, once that has said {@link CONNECTED}. */
  readonly ready: 'connect' | 'secureConnect' | 'byte';
}

export interface Dialler {
  /** Returns at once; failures come as the socket's `error`. @param onread where what it reads goes, if not to its listeners. */
  dial(backend: Backend, onread?: OnReadOpts): Dialled;
  /** The connection by which it is known whether the agent's machine, or the API, is there (links.ts). */
  dialLink(via: Via): Socket;
  /** The agent that the copy is reached through, or the API that is asked; null: it is dialled itself. */
  viaOf(backend: Backend): Via | null;
}

type Via = NonNullable<Backend['via']>;

/** In the place of a cell's id. */
export const THE_API = 'api';

interface Dialling {
  /** Under which the session of a former handshake is kept. */
  session: string;
  servername: string;
  isExpected(members: readonly Member[]): boolean;
  reading: { onread?: OnReadOpts };
}

export interface Membership {
  identity: IdentitySource;
  /** The cell on the same machine, whose copies are dialled as they are; null: there is none. */
  ownCellId: string | null;
}

/** @param membership null: this router is no member of a cluster, and dials copies alone. */
export function createDialler(membership: Membership | null): Dialler {
  /** By cell; a handshake that goes on from a former one costs a third. */
  const sessions = new Map<string, Buffer>();

  const viaOf: Dialler['viaOf'] = ({ via, api }) => {
    // One alone is waited for, however long it takes.
    if (api !== undefined) return api.isAlone ? null : { cellId: THE_API, host: api.host, port: api.port };
    return via === undefined || membership === null || membership.ownCellId === via.cellId ? null : via;
  };

  function dialAgent({ cellId, ...address }: Via, name: string, reading: { onread?: OnReadOpts }): Socket {
    const isExpected = (members: readonly Member[]): boolean =>
      members.some(({ role, id }) => role === 'agent' && id === cellId);
    return dialMember(address, { session: cellId, servername: forwardName(name), isExpected, reading });
  }

  function dialApi(address: Address, servername: string, reading: { onread?: OnReadOpts }): Socket {
    const isExpected = (members: readonly Member[]): boolean => members.some(({ role }) => role === 'api');
    return dialMember(address, { session: writeAddress(address), servername, isExpected, reading });
  }

  function dialMember({ host, port }: Address, { session: key, servername, isExpected, reading }: Dialling): Socket {
    let secureContext: tls.SecureContext;
    try {
      if (membership === null) throw new Error('this router is no member of a cluster');
      secureContext = contextOf(membership.identity.current());
    } catch (error) {
      // It has not joined yet.
      const socket = new net.Socket();
      process.nextTick(() => socket.destroy(error as Error));
      return socket;
    }
    const session = sessions.get(key);
    const socket = tls.connect({
      host,
      port,
      lookup: lookupMember,
      secureContext,
      servername,
      checkServerIdentity: checkMember(isExpected),
      ...(session === undefined ? {} : { session }),
      ...reading,
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    socket.on('session', ticket => sessions.set(key, ticket));
    return socket;
  }

  return {
    dial: (backend, onread) => {
      const reading = onread === undefined ? {} : { onread };
      const { socketPath, host, port, api } = backend;
      if (api !== undefined) return { socket: dialApi(api, PUBLIC_API_NAME, reading), ready: 'secureConnect' };
      const via = viaOf(backend);
      if (via !== null) return { socket: dialAgent(via, backend.instanceGuid, reading), ready: 'byte' };
      const to = socketPath === undefined ? { host, port } : { path: socketPath };
      return { socket: net.connect({ ...to, noDelay: true, keepAlive: true, ...reading }), ready: 'connect' };
    },
    dialLink: via => (via.cellId === THE_API ? dialApi(via, API_LINK_NAME, {}) : dialAgent(via, LINK, {})),
    viaOf,
  };
}

/** Tells once a copy has taken the connection, for a socket without `onread`. Nothing is called when it fails: the socket's `error` or `close` says so. */
export function whenTaken({ socket, ready }: Dialled, taken: () => void): void {
  if (ready !== 'byte') return void socket.once(ready, taken);
  const look = (): void => {
    const said: Buffer | null = socket.read(1);
    if (said === null) return;
    socket.off('readable', look);
    if (said[0] === CONNECTED) taken();
    else socket.destroy(new Error('the agent did not pass the connection on'));
  };
  socket.on('readable', look);
}
