/**
 * From where a request came, and by which origin it named us. On the public listener both are what the connection says: one origin, the configured one.
 * Behind our own router, which alone can reach the other socket, they are what the router says; its hosts are the platform's own (`apiHostNames`), so links
 * in answers name one of them and nothing else (foundations.md 19).
 */
import type { IncomingMessage } from 'node:http';
import { apiHostNames } from '@cupola/model/system-hosts';
import type { ApiConfig, ApiDeps } from '../deps.ts';

export interface AskedFrom {
  /** Origin for links, without a slash at its end. */
  publicUrl: string;
  clientAddress: string;
}

export function askedFrom(
  { headers, socket }: IncomingMessage,
  { publicUrl, appsDomain }: ApiConfig,
  fromRouter: boolean,
): AskedFrom {
  if (!fromRouter) return { publicUrl, clientAddress: socket.remoteAddress ?? '' };
  const [, name = '', port = ''] = /^([^:]*)((?::\d{1,5})?)$/.exec((headers.host ?? '').toLowerCase()) ?? [];
  const scheme = headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
  const host = name.replace(/\.$/, '');
  const usual = scheme === 'https' ? ':443' : ':80';
  return {
    publicUrl: apiHostNames(appsDomain).includes(host) ? `${scheme}://${host}${port === usual ? '' : port}` : publicUrl,
    // The last one is the router's own peer; what stands before may be anybody's word.
    clientAddress:
      String(headers['x-forwarded-for'] ?? '')
        .split(',')
        .at(-1)
        ?.trim() ?? '',
  };
}

/** The same dependencies, for an answer whose links begin with `publicUrl`. */
export function withOrigin(deps: ApiDeps, publicUrl: string): ApiDeps {
  return { ...deps, config: { ...deps.config, publicUrl } };
}
