/**
 * How HTTPS is spoken: TLS 1.2 or newer, HTTP/1.1 above it, and for each handshake the certificate of the name that the client asks for. What is made of
 * a certificate is kept as long as the certificate itself.
 */
import type { Server } from 'node:https';
import { createSecureContext, type SecureContext, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Certificates, Pair } from '@cupola/certificates/certificates';
import type { Logger } from 'pino';
import { readHost } from '../table/route-key.ts';

export interface TlsDoor {
  readonly options: TlsOptions;
  /** Keeps the server's certificate for clients that name no host up to date. */
  follow(server: object): void;
  close(): void;
}

interface Deps {
  certificates: Certificates;
  /** What an ACME authority is shown that proves a host by TLS-ALPN-01; null: nothing is being proven for it. */
  proofFor(host: string): Pair | null;
  log: Logger;
}

/** A client that has not shaken hands by then is cut off, as one that is slow with its headers. */
const HANDSHAKE_MS = 10_000;
/** How often the certificate for clients without a name is looked at: renewals have days. */
const LOOK_MS = 60_000;
const HTTP = 'http/1.1';
/** What only an ACME authority speaks (RFC 8737 section 4). */
const ACME_TLS = 'acme-tls/1';

/** Resolves once there is a certificate for clients that name no host. */
export async function openTls({ certificates, proofFor, log }: Deps): Promise<TlsDoor> {
  const contexts = new WeakMap<Pair, SecureContext>();
  const contextOf = (pair: Pair): SecureContext => {
    const known = contexts.get(pair) ?? createSecureContext({ ...pair, minVersion: 'TLSv1.2' });
    contexts.set(pair, known);
    return known;
  };
  /** Handshakes of authorities. */
  const proven = new WeakMap<TLSSocket, SecureContext>();
  let shown = await certificates.pairFor(null);
  let timer: NodeJS.Timeout | null = null;

  return {
    options: {
      ...(shown ?? {}),
      minVersion: 'TLSv1.2',
      ALPNCallback: function (this: TLSSocket, { servername, protocols }) {
        const proof = protocols.includes(ACME_TLS) ? proofFor(servername) : null;
        if (proof === null) return protocols.includes(HTTP) ? HTTP : undefined;
        // In TLS 1.2 this comes after the choice by the name, in 1.3 before it: either must show the proof.
        const context = createSecureContext({ ...proof });
        this.setKeyCert(context);
        proven.set(this, context);
        return ACME_TLS;
      } as NonNullable<TlsOptions['ALPNCallback']>,
      handshakeTimeout: HANDSHAKE_MS,
      SNICallback: function (this: TLSSocket, name, done) {
        const proof = proven.get(this);
        if (proof !== undefined) return done(null, proof);
        const reading = readHost(name);
        certificates.pairFor('host' in reading ? reading.host : null).then(
          pair => (pair === null ? done(null) : done(null, contextOf(pair))),
          (error: unknown) => {
            log.error({ err: error, name }, 'no certificate could be made for a handshake');
            done(error as Error);
          },
        );
      } as NonNullable<TlsOptions['SNICallback']>,
    },
    follow: server => {
      const renew = async (): Promise<void> => {
        const pair = await certificates.pairFor(null);
        if (pair === null || pair === shown) return;
        shown = pair;
        if ('setSecureContext' in server) (server as Server).setSecureContext({ ...pair, minVersion: 'TLSv1.2' });
      };
      timer = setInterval(() => {
        renew().catch((error: unknown) => log.error({ err: error }, 'the certificate could not be renewed'));
      }, LOOK_MS);
      timer.unref();
    },
    close: () => {
      if (timer !== null) clearInterval(timer);
    },
  };
}
