/**
 * Which certificate a router shows for a host: seen by a handshake with that name, so that it is what users get, whoever made it and whenever it was renewed.
 * Only the platform's own routers are dialled, never what a name leads to: names are their owners' choice, and would have us look around in the network.
 */
import type { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import type { RouteCertificate } from '@cupola/contract/v3/route-certificate';
import type { Logger } from 'pino';

export type ShownCertificate = NonNullable<RouteCertificate['certificate']>;
interface Address {
  host: string;
  port: number;
}

export interface CertificateLooks {
  /** Null: no router could be asked, or it has none for that host. */
  look(host: string): Promise<ShownCertificate | null>;
}

/** A router on the next machine takes some milliseconds; making a leaf some more. */
const HANDSHAKE_MS = 3_000;
/** Certificates live for weeks; an order of one that has just come is to be seen soon. */
const KEPT_MS = 20_000;
const KEPT_MAX = 1_000;
/** By `makeCa` in packages/certificates. */
const OWN = /^O=Cupola$/m;

/** @param doors where routers speak HTTPS: the first that answers is asked. */
export function createCertificateLooks(
  doors: readonly Address[],
  { now, log }: { now(): number; log: Logger },
): CertificateLooks {
  const kept = new Map<string, { atMs: number; found: Promise<ShownCertificate | null> }>();
  const ask = async (host: string): Promise<ShownCertificate | null> => {
    for (const door of doors) {
      try {
        return await shownAt(door, host);
      } catch (error) {
        log.debug({ err: error, door, host }, 'a router could not be asked for its certificate');
      }
    }
    return null;
  };
  return {
    look: host => {
      const known = kept.get(host);
      if (known !== undefined && now() - known.atMs < KEPT_MS) return known.found;
      kept.delete(host);
      const first = kept.keys().next();
      if (kept.size >= KEPT_MAX && first.done !== true) kept.delete(first.value);
      const found = ask(host);
      kept.set(host, { atMs: now(), found });
      return found;
    },
  };
}

function shownAt({ host, port }: Address, servername: string): Promise<ShownCertificate> {
  return new Promise((resolve, reject) => {
    // It is looked at, not trusted: nothing is sent over it.
    const socket = connect({ host, port, servername, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }, () => {
      const certificate = socket.getPeerX509Certificate();
      const isPublic = socket.authorizationError === null || isMisnamed(socket.authorizationError);
      socket.destroy();
      if (certificate === undefined) reject(new Error('no certificate was shown'));
      else resolve(describe(certificate, { servername, isPublic }));
    });
    socket.setTimeout(HANDSHAKE_MS, () => socket.destroy(new Error('no answer within 3 s')));
    socket.on('error', reject);
  });
}

/** The chain is good, only for other names: `fits` says that. */
const isMisnamed = (error: unknown): boolean => String(error).includes('ERR_TLS_CERT_ALTNAME_INVALID');

function describe(
  certificate: X509Certificate,
  { servername, isPublic }: { servername: string; isPublic: boolean },
): ShownCertificate {
  const { issuer, validFromDate, validToDate } = certificate;
  const nameOf = (key: string): string | undefined => new RegExp(`^${key}=(.+)$`, 'm').exec(issuer)?.[1];
  return {
    signed_by: OWN.test(issuer) ? 'own' : isPublic ? 'public' : 'other',
    issuer: [nameOf('O'), nameOf('CN')].filter(Boolean).join(', ') || issuer.replaceAll('\n', ', '),
    valid_from: validFromDate.toISOString(),
    valid_until: validToDate.toISOString(),
    fits: certificate.checkHost(servername, { subject: 'never' }) !== undefined,
  };
}
