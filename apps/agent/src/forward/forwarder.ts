/**
 * Takes connections of other machines and passes them on to this cell's instances (`@cupola/certificates/members/forwarding`): of routers, and of agents for
 * instances of theirs. Only a member of the cluster in that role is heard, and only for an instance that is here under the guid it names: an address that has
 * come to another instance answers nobody who meant the former one. An agent is believed nothing: whether an instance that is on its machine may reach ours on
 * that port is asked of what the API has told us. What passes is not looked at.
 */
import net, { type AddressInfo, type Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import { type Address, callerOf } from '@cupola/certificates/members/dial';
import { CONNECTED, forwardedGuid, LINK, type PeerCall, readPeerName } from '@cupola/certificates/members/forwarding';
import type { Identity, IdentitySource } from '@cupola/certificates/members/identity';
import type { Role } from '@cupola/certificates/members/names';
import type { Logger } from 'pino';
import { createPassing } from './passing.ts';

export interface ForwarderDeps {
  identity: IdentitySource;
  /** `fd`: a bound socket that the supervisor passed on, so that connections wait while an agent is started anew. */
  listen: { fd: number } | { host: string; port: number };
  /** Where the instance answers; null: it is not here, or does not answer. */
  addressOf(instanceGuid: string): Address | null;
  /** The same on the port that an instance of the cell `cellId` has dialled; null: it may not. */
  peerAddressOf(call: PeerCall, cellId: string): Address | null;
  log: Logger;
}

export interface Forwarder extends AsyncDisposable {
  readonly port: number;
  /** Those members were removed from the cluster: what passes for them ends, and nothing more does. */
  refuse(ids: readonly string[]): void;
}

/** As the router waits for an instance on this machine (ours). */
const CONNECT_MS = 5_000;
const HANDSHAKE_MS = 5_000;
/** A new certificate is shown within this; the former one has weeks left then. */
const LOOK_MS = 600_000;
/** As many connections as the kernel lets wait while an agent is started anew. */
const BACKLOG = 4_096;
/** Nobody else tells whether the machine of the other agent is still there (ours). */
const KEEP_ALIVE_MS = 15_000;

export async function startForwarder(deps: ForwarderDeps): Promise<Forwarder> {
  const { identity, listen, addressOf, peerAddressOf, log } = deps;
  /** By who passes something through us. */
  const passing = createPassing<{ isHeard(): boolean }>();
  const links = new Set<TLSSocket>();
  const pending = new Set<Socket>();
  let refused: ReadonlySet<string> = new Set();
  /** The member's id in that role; null: it is not one, or was removed. */
  const idAs = (caller: TLSSocket, wanted: Role): string | null =>
    callerOf(caller)?.find(({ role, id }) => role === wanted && !refused.has(id))?.id ?? null;
  const isRouter = (caller: TLSSocket): boolean => idAs(caller, 'router') !== null;
  const shown = identity.current();
  const server = tls.createServer({ ...optionsOf(shown), handshakeTimeout: HANDSHAKE_MS }, caller => {
    caller.on('error', () => undefined); // `close` says so.
    const call = readPeerName(caller.servername);
    if (call !== null) return void takePeer(caller, call);
    const guid = forwardedGuid(caller.servername);
    const address = guid === null || !isRouter(caller) ? null : addressOf(guid);
    if (isRouter(caller) && guid === LINK) echo(caller);
    else if (address !== null) join(caller, address, () => isRouter(caller));
    else caller.destroy();
  });

  function takePeer(caller: TLSSocket, call: PeerCall): void {
    const cellId = idAs(caller, 'agent');
    const address = cellId === null ? null : peerAddressOf(call, cellId);
    if (address === null) return void caller.destroy();
    // Whatever they speak: one may have said all that it says, and listen still.
    caller.allowHalfOpen = true;
    caller.setKeepAlive(true, KEEP_ALIVE_MS);
    join(caller, address, () => idAs(caller, 'agent') !== null);
  }

  function echo(router: TLSSocket): void {
    links.add(router);
    router.once('close', () => links.delete(router));
    router.setNoDelay(true);
    router.write(Uint8Array.of(CONNECTED));
    router.pipe(router);
  }

  function join(caller: TLSSocket, address: Address, isHeard: () => boolean): void {
    const instance = net.connect({ ...address, noDelay: true, allowHalfOpen: caller.allowHalfOpen });
    const timer = setTimeout(() => instance.destroy(), CONNECT_MS);
    const giveUp = (): void => void instance.destroy();
    const hangUp = (): void => caller.destroySoon();
    caller.once('close', giveUp);
    instance.on('error', () => undefined); // `close` says so.
    instance.once('close', () => clearTimeout(timer));
    instance.once('close', hangUp);
    instance.once('connect', () => {
      clearTimeout(timer);
      caller.off('close', giveUp);
      instance.off('close', hangUp);
      if (caller.destroyed) return void instance.destroy();
      caller.write(Uint8Array.of(CONNECTED));
      passing.join([caller, instance], { isHeard });
    });
  }

  server.on('connection', socket => {
    pending.add(socket);
    socket.once('close', () => pending.delete(socket));
  });
  server.on('tlsClientError', error => log.debug({ err: error }, 'a connection was no member of this cluster'));
  await listening(server, listen);
  // Of a listener that serves: a connection could not be taken, for want of file descriptors say. The next one may be.
  server.on('error', error => log.warn({ err: error }, 'a connection of another machine could not be taken'));
  const look = showNewest(server, { identity, shown, log });

  return {
    port: (server.address() as AddressInfo).port,
    refuse: ids => {
      if (ids.every(id => refused.has(id))) return;
      refused = new Set(ids);
      for (const link of links) if (!isRouter(link)) link.destroy();
      passing.endWhere(({ isHeard }) => !isHeard());
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(look);
      // Routers go elsewhere from here on, where they can.
      for (const link of links) link.end();
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      await passing.drain();
      for (const socket of pending) socket.destroy();
      await closed;
    },
  };
}

/** Also once it is renewed. */
function showNewest(
  server: tls.Server,
  { identity, shown: first, log }: Pick<ForwarderDeps, 'identity' | 'log'> & { shown: Identity },
): NodeJS.Timeout {
  let shown = first;
  const look = (): void => {
    try {
      const newest = identity.current();
      if (newest !== shown) server.setSecureContext(optionsOf(newest));
      shown = newest;
    } catch (error) {
      log.warn({ err: error }, 'the identity of this machine cannot be read; the former one is shown');
    }
  };
  return setInterval(look, LOOK_MS).unref();
}

/** @throws when the port is taken. */
function listening(server: tls.Server, listen: ForwarderDeps['listen']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...listen, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function optionsOf({ key, cert, ca }: Identity): tls.TlsOptions {
  return { key, cert, ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' };
}
