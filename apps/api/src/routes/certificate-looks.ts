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
/** What will change by itself: a router that does not know a new route yet, or starts again, or waits for what it has ordered. */
const KEPT_UNSETTLED_MS = 2_000;
/** For so long a router that could not be asked is asked after the others. */
const AVOIDED_MS = 20_000;
const KEPT_MAX = 1_000;
/** By `makeCa` in packages/certificates. */
const OWN = /^O=Cupola$/m;

/** @param https its `doors`: where routers speak HTTPS. The first that answers is asked. */
export function createCertificateLooks(
  https: { doors: readonly Address[]; certificates: 'own' | 'given' | 'acme' } | null,
  { now, log }: { now(): number; log: Logger },
): CertificateLooks {
  const kept = new Map<string, { untilMs: number; found: Promise<ShownCertificate | null> }>();
  const ask = createAsk(https?.doors ?? [], { now, log });
  const isSettled = (shown: ShownCertificate | null): boolean =>
    shown?.fits === true && !(shown.signed_by === 'own' && https?.certificates === 'acme');
  return {
    look: host => {
      const known = kept.get(host);
      if (known !== undefined && now() < known.untilMs) return known.found;
      kept.delete(host);
      const first = kept.keys().next();
      if (kept.size >= KEPT_MAX && first.done !== true) kept.delete(first.value);
      // Whoever asks meanwhile waits for the same answer.
      const look = { untilMs: Number.POSITIVE_INFINITY, found: ask(host) };
      kept.set(host, look);
      void look.found.then(shown => {
        look.untilMs = now() + (isSettled(shown) ? KEPT_MS : KEPT_UNSETTLED_MS);
      });
      return look.found;
    },
  };
}

/** A router whose machine is off costs each handshake its whole time: it is tried last for a while. */
function createAsk(
  doors: readonly Address[],
  { now, log }: { now(): number; log: Logger },
): (host: string) => Promise<ShownCertificate | null> {
  const avoidedUntilMs = new Map<Address, number>();
  const isAvoided = (door: Address): boolean => now() < (avoidedUntilMs.get(door) ?? 0);
  return async host => {
    for (const door of doors.toSorted((a, b) => Number(isAvoided(a)) - Number(isAvoided(b))))
      try {
        const shown = await shownAt(door, host);
        avoidedUntilMs.delete(door);
        return shown;
      } catch (error) {
        avoidedUntilMs.set(door, now() + AVOIDED_MS);
        log.debug({ err: error, door, host }, 'a router could not be asked for its certificate');
      }
    return null;
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
