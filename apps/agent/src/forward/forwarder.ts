/**
 * Takes connections of routers on other machines and passes them on to this cell's instances (`@cupola/certificates/members/forwarding`). Only a member of
 * the cluster with the role of a router is heard, and only for an instance that is here under the guid it names: an address that has come to another
 * instance answers nobody who meant the former one. What passes is not looked at.
 */
import net, { type AddressInfo, type Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import { callerOf } from '@cupola/certificates/members/dial';
import { CONNECTED, forwardedGuid, LINK } from '@cupola/certificates/members/forwarding';
import type { Identity, IdentitySource } from '@cupola/certificates/members/identity';
import type { Logger } from 'pino';

export interface ForwarderDeps {
  identity: IdentitySource;
  /** `fd`: a bound socket that the supervisor passed on, so that connections wait while an agent is started anew. */
  listen: { fd: number } | { host: string; port: number };
  /** Where the instance answers; null: it is not here, or does not answer. */
  addressOf(instanceGuid: string): { host: string; port: number } | null;
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
/** Nothing has passed for so long: between two requests, as far as we can know. */
const QUIET_MS = 300;
/** When we end, what is under way gets this long. */
const DRAIN_MS = 10_000;

interface Passing {
  router: TLSSocket;
  instance: Socket;
  heardAtMs: number;
}

export async function startForwarder({ identity, listen, addressOf, log }: ForwarderDeps): Promise<Forwarder> {
  const passing = new Set<Passing>();
  const links = new Set<TLSSocket>();
  const pending = new Set<Socket>();
  let refused: ReadonlySet<string> = new Set();
  const isHeard = (router: TLSSocket): boolean =>
    callerOf(router)?.some(({ role, id }) => role === 'router' && !refused.has(id)) === true;
  const shown = identity.current();
  const server = tls.createServer({ ...optionsOf(shown), handshakeTimeout: HANDSHAKE_MS }, router => {
    router.on('error', () => undefined); // `close` says so.
    const guid = forwardedGuid(router.servername);
    const isRouter = isHeard(router);
    const address = guid === null || !isRouter ? null : addressOf(guid);
    if (isRouter && guid === LINK) echo(router);
    else if (address !== null) join(router, address);
    else router.destroy();
  });

  function echo(router: TLSSocket): void {
    links.add(router);
    router.once('close', () => links.delete(router));
    router.setNoDelay(true);
    router.write(Uint8Array.of(CONNECTED));
    router.pipe(router);
  }

  function join(router: TLSSocket, address: { host: string; port: number }): void {
    const instance = net.connect({ ...address, noDelay: true });
    const timer = setTimeout(() => instance.destroy(), CONNECT_MS);
    const both: Passing = { router, instance, heardAtMs: performance.now() };
    const heard = (): void => {
      both.heardAtMs = performance.now();
    };
    router.once('close', () => instance.destroy());
    instance.on('error', () => undefined); // `close` says so.
    instance.once('close', () => {
      clearTimeout(timer);
      passing.delete(both);
      router.destroySoon();
    });
    instance.once('connect', () => {
      clearTimeout(timer);
      if (router.destroyed) return;
      passing.add(both);
      router.setNoDelay(true);
      router.write(Uint8Array.of(CONNECTED));
      router.on('data', heard).pipe(instance);
      instance.on('data', heard).pipe(router);
    });
  }

  server.on('connection', socket => {
    pending.add(socket);
    socket.once('close', () => pending.delete(socket));
  });
  server.on('tlsClientError', error => log.debug({ err: error }, 'a connection was no router of this cluster'));
  await listening(server, listen);
  // Of a listener that serves: a connection could not be taken, for want of file descriptors say. The next one may be.
  server.on('error', error => log.warn({ err: error }, 'a connection of a router could not be taken'));
  const look = showNewest(server, { identity, shown, log });

  return {
    port: (server.address() as AddressInfo).port,
    refuse: ids => {
      if (ids.every(id => refused.has(id))) return;
      refused = new Set(ids);
      for (const link of links) if (!isHeard(link)) link.destroy();
      for (const both of passing) if (!isHeard(both.router)) end(both);
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(look);
      // Routers go elsewhere from here on, where they can.
      for (const link of links) link.end();
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      const untilMs = performance.now() + DRAIN_MS;
      for (;;) {
        for (const both of passing) if (performance.now() - both.heardAtMs >= QUIET_MS) end(both);
        if (passing.size === 0 || performance.now() >= untilMs) break;
        await new Promise(resolve => setTimeout(resolve, QUIET_MS / 3));
      }
      for (const both of passing) end(both);
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

function end({ router, instance }: Passing): void {
  router.destroy();
  instance.destroy();
}

function optionsOf({ key, cert, ca }: Identity): tls.TlsOptions {
  return { key, cert, ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' };
}
