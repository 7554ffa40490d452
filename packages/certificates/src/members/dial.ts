/**
 * Connections between members of a cluster: TLS 1.3 both ways, by certificates of the cluster's own authority alone. The other side is told by the roles in
 * its certificate, whatever address it was reached under.
 */
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { Identity, IdentitySource } from './identity.ts';
import { lookupMember } from './lookup.ts';
import { type Member, membersIn } from './names.ts';

export interface Address {
  host: string;
  port: number;
}

export interface Peers {
  /** Any of them will do: tried from the one that answered last. */
  addresses: readonly Address[];
  identity: IdentitySource;
}

type Connected = (...result: [error: null, socket: TLSSocket] | [error: Error, socket: null]) => void;

/** Somebody answered who is not who was to be reached. */
export class WrongMemberError extends Error {
  override readonly name = 'WrongMemberError';
}

/** Server names of an API's listener for members: what is asked under the first is an internal call of the member itself. */
export const API_NAME = 'api.cupola';
/** Under this one a router passes on requests of others: whatever their path, they are the public API's. */
export const PUBLIC_API_NAME = 'public.api.cupola';

/** Under this one a router has a connection by which it knows that the API answers: `CONNECTED`, and then whatever it says comes back. */
export const API_LINK_NAME = 'link.api.cupola';

const DIAL_MS = 5_000;
/** An API that is frozen, or whose machine is gone, takes a call and says nothing: after so long the next one is asked beside it. A lease of 15 s waits for it (ours). */
const HEAD_START_MS = 1_000;
/** A machine that is gone without a word is noticed by the kernel, too (ours). */
const KEEP_ALIVE_MS = 15_000;

const contexts = new WeakMap<Identity, SecureContext>();

/** The context of an identity, made once. */
export function contextOf(identity: Identity): SecureContext {
  const known = contexts.get(identity);
  if (known !== undefined) return known;
  const context = createSecureContext({ ...identity, minVersion: 'TLSv1.3' });
  contexts.set(identity, context);
  return context;
}

/** As Node.js asks for it: `undefined` when `isExpected` says that it is who was to be reached. */
export function checkMember(isExpected: (members: readonly Member[]) => boolean) {
  return (_host: string, { subjectaltname }: { subjectaltname?: string | undefined }): Error | undefined => {
    const members = membersIn(subjectaltname);
    if (isExpected(members)) return undefined;
    const named = members.map(({ role, id }) => `${role} ${id}`).join(', ') || 'nobody';
    return new WrongMemberError(`the other side is ${named}, who was not asked`);
  };
}

/** Where the internal API is reached: on the machine's own socket, or as a member of a cluster. */
export type InternalAddress = { socketPath: string } | Peers;

/** POST of JSON on the internal API; answers its JSON, not parsed by any schema yet. */
export type ApiCall = (path: string, body: unknown) => Promise<unknown>;

/** Origin and options of an undici client or pool for it. */
export function internalDoor(address: InternalAddress) {
  if ('socketPath' in address) return { origin: 'http://api', options: { socketPath: address.socketPath } };
  // Its types want a socket of undici's own making; any duplex of node:tls is one.
  return { origin: 'https://api', options: { connect: apiConnector(address) } };
}

/** For `connect` of an undici pool: the first API that answers, beginning with the one that did last. */
export function apiConnector({ addresses, identity }: Peers) {
  let first = addresses.length > 1 ? Math.floor(Math.random() * addresses.length) : 0;
  return (_options: unknown, callback: Connected): void => {
    const order = addresses.map((_, index) => (first + index) % addresses.length);
    const dialled: TLSSocket[] = [];
    let failure = new Error('no address of an API is given');
    let waiting = 0;
    let isOver = false;
    let headStart: NodeJS.Timeout | undefined;
    const next = (): void => {
      clearTimeout(headStart);
      const index = order.shift();
      const address = index === undefined ? undefined : addresses[index];
      if (index === undefined || address === undefined) {
        if (waiting > 0) return;
        isOver = true;
        callback(failure, null);
        return;
      }
      waiting++;
      headStart = setTimeout(next, HEAD_START_MS);
      const began = dial(address, identity, (error, socket) => {
        waiting--;
        if (isOver) return void socket?.destroy();
        if (error !== null) {
          failure = error;
          return next();
        }
        isOver = true;
        clearTimeout(headStart);
        for (const other of dialled) if (other !== socket) other.destroy();
        first = index;
        callback(null, socket);
      });
      if (began !== null) dialled.push(began);
    };
    next();
  };
}

/** Null: it could not begin, and `done` has been told. */
function dial(address: Address, identity: IdentitySource, done: Connected): TLSSocket | null {
  let socket: TLSSocket;
  try {
    socket = connect({
      ...address,
      lookup: lookupMember,
      secureContext: contextOf(identity.current()),
      servername: API_NAME,
      checkServerIdentity: checkMember(members => members.some(({ role }) => role === 'api')),
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  } catch (error) {
    done(error as Error, null); // No identity.
    return null;
  }
  const timer = setTimeout(() => socket.destroy(new Error(`${address.host}:${address.port} did not answer`)), DIAL_MS);
  const failed = (error: Error): void => done(error, null);
  socket.once('error', failed);
  socket.once('close', () => clearTimeout(timer));
  socket.once('secureConnect', () => {
    clearTimeout(timer);
    socket.off('error', failed);
    done(null, socket);
  });
  return socket;
}

/** Who is at the other end of a connection that a server has taken; null: nobody that the authority knows. */
export function callerOf(socket: TLSSocket): Member[] | null {
  return socket.authorized ? membersIn(socket.getPeerCertificate().subjectaltname) : null;
}

/** `host:port`, also with an IPv6 host in brackets. @param least of its port: 0 where that means a free one. @throws TypeError with words for the user. */
export function parseAddress(text: string, least = 1): Address {
  const { host, port } = /^(?<host>\[[0-9a-fA-F:.]+\]|[^\s:/]+):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  const number = Number(port);
  if (host === undefined || number > 65_535 || number < least)
    throw new TypeError(`"${text}" is no address. Write HOST:PORT, for example 10.0.0.5:7443`);
  return { host: host.replace(/^\[|\]$/g, ''), port: number };
}

/** As `parseAddress` reads it. */
export function writeAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
