/** What a user-provided service instance hands to the apps that are bound to it: kept sealed, since URLs of drains have tokens in them too. */
import type { Sealer } from '@cupola/store/seal';

export interface ServiceSecrets {
  credentials: Record<string, unknown>;
  syslogDrainUrl: string | null;
  routeServiceUrl: string | null;
}

export function sealSecrets(sealer: Sealer, secrets: ServiceSecrets): string {
  return sealer.seal(JSON.stringify(secrets));
}

export function openSecrets(sealer: Sealer, sealed: string): ServiceSecrets {
  return JSON.parse(sealer.open(sealed)) as ServiceSecrets;
}

/** What a body names replaces what was there; empty text is none, as the cf CLI sends it to take a URL away. */
export function changedSecrets(
  present: ServiceSecrets,
  asked: {
    credentials?: Record<string, unknown> | null;
    syslog_drain_url?: string | null;
    route_service_url?: string | null;
  },
): ServiceSecrets {
  const url = (given: string | null | undefined, before: string | null): string | null =>
    given === undefined ? before : given === '' ? null : given;
  return {
    credentials: asked.credentials === undefined ? present.credentials : (asked.credentials ?? {}),
    syslogDrainUrl: url(asked.syslog_drain_url, present.syslogDrainUrl),
    routeServiceUrl: url(asked.route_service_url, present.routeServiceUrl),
  };
}
