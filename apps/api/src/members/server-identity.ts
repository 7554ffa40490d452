/** What the API shows to members of the cluster: a certificate for a key that lives in this process alone, made anew long before it ends. */
import { randomUUID } from 'node:crypto';
import type https from 'node:https';
import type { ApiDeps } from '../deps.ts';
import { openAuthority } from './authority.ts';

const DAY_MS = 86_400_000;
const RETRY_MS = 60_000;

export interface ServerIdentity extends Disposable {
  /** For the server's making. */
  readonly options: { key: string; cert: string; ca: string };
  /** Gives each later certificate to the server; connections that stand are not touched. */
  follow(server: https.Server): void;
}

export async function keepServerIdentity(
  deps: Pick<ApiDeps, 'store' | 'sealer' | 'now' | 'log'>,
): Promise<ServerIdentity> {
  const id = randomUUID();
  const make = async (): Promise<ServerIdentity['options']> => {
    const { issueMember } = await import('@cupola/certificates/members/authority');
    const authority = await openAuthority(deps);
    const pair = await issueMember({ authority, members: [{ role: 'api', id }], nowMs: deps.now() });
    return { ...pair, ca: authority.cert };
  };
  const options = await make();
  let timer: NodeJS.Timeout | undefined;
  return {
    options,
    follow: server => {
      const renew = (): void => {
        make().then(
          made => {
            server.setSecureContext({ ...made, minVersion: 'TLSv1.3' });
            timer = setTimeout(renew, DAY_MS).unref();
          },
          (error: unknown) => {
            deps.log.warn({ err: error }, "the API's own certificate could not be made anew; this is tried again");
            timer = setTimeout(renew, RETRY_MS).unref();
          },
        );
      };
      timer = setTimeout(renew, DAY_MS).unref();
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
