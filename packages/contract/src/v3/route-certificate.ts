/** `GET /v3/apps/:guid/route_certificates`, ours: which certificate a client is shown at each public host that leads to an app, as the router shows it now. */
import { z } from 'zod';

export const routeCertificate = z.object({
  /** Of one route or more; a wildcard is not looked at. */
  host: z.string(),
  /** Null: no router could be asked just now, or nobody can be asked for such a host. */
  certificate: z
    .object({
      /** `own`: signed by this platform's authority; `public`: by one that this machine knows; `other`: by somebody else's. */
      signed_by: z.enum(['own', 'public', 'other']),
      /** As it calls itself. */
      issuer: z.string(),
      valid_from: z.iso.datetime(),
      valid_until: z.iso.datetime(),
      /** Whether it is made for this host. */
      fits: z.boolean(),
    })
    .nullable(),
});
export type RouteCertificate = z.infer<typeof routeCertificate>;

export const routeCertificates = z.object({
  /** `none`: HTTPS is not spoken here; `elsewhere`: what stands before the routers speaks it, with a certificate of its own; `routers`: these do. */
  https: z.enum(['none', 'elsewhere', 'routers']),
  resources: z.array(routeCertificate),
});
export type RouteCertificates = z.infer<typeof routeCertificates>;
