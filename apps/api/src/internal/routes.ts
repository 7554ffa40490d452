/** The calls of the internal listener, as the table at the top of `@cupola/contract/internal` lists them. */
import { InvalidRequestError, NotFoundError } from '@cupola/model/errors';
import { UNKNOWN_REQUEST } from '../cf-error.ts';
import { claimBuild, heartbeatBuild, nextBuild, sendPackage } from './builds.ts';
import type { InternalRoute } from './call.ts';
import { heartbeat, listCells, registerCell, requireCell } from './cells.ts';
import { finishBuild } from './finish-build.ts';
import { hasLayer, readToolchain, sendLayer, storeLayer, storeToolchain } from './layers.ts';
import { listInstances, takeBuildLogs, takeLogs } from './platform.ts';
import { takeReport } from './reports.ts';
import { serveWatch } from './serve-watch.ts';
import { resetPassword } from './user-password.ts';
import type { Watches } from './watches.ts';

export function internalRoutes(watches: Watches<'placements' | 'routes' | 'builds' | 'peers'>): InternalRoute[] {
  const shared = (view: 'routes' | 'builds' | 'peers'): InternalRoute => ({
    method: 'GET',
    path: `/internal/${view}/watch`,
    handle: call => serveWatch(call, (send, after) => watches.watch(view, { audience: null, send }, after)),
  });
  const placements: InternalRoute = {
    method: 'GET',
    path: '/internal/cells/:cellId/watch',
    handle: async call => {
      const audience = await requireCell(call);
      return serveWatch(call, (send, after) => watches.watch('placements', { audience, send }, after));
    },
  };
  return [
    { method: 'GET', path: '/internal/cells', handle: listCells },
    { method: 'POST', path: '/internal/cells', handle: registerCell },
    { method: 'POST', path: '/internal/cells/:cellId/heartbeat', handle: heartbeat },
    { method: 'POST', path: '/internal/cells/:cellId/reports', handle: takeReport },
    placements,
    shared('routes'),
    shared('builds'),
    shared('peers'),
    { method: 'GET', path: '/internal/builds/next', handle: nextBuild },
    { method: 'POST', path: '/internal/builds/:guid/claim', handle: claimBuild },
    { method: 'POST', path: '/internal/builds/:guid/heartbeat', handle: heartbeatBuild },
    { method: 'GET', path: '/internal/builds/:guid/package', handle: sendPackage },
    { method: 'POST', path: '/internal/builds/:guid/finish', handle: finishBuild },
    { method: 'POST', path: '/internal/builds/:guid/logs', handle: takeBuildLogs },
    { method: 'HEAD', path: '/internal/layers/:digest', handle: hasLayer },
    { method: 'GET', path: '/internal/layers/:digest', handle: sendLayer },
    { method: 'PUT', path: '/internal/layers/:digest', handle: storeLayer },
    { method: 'GET', path: '/internal/toolchains/:key', handle: readToolchain },
    { method: 'PUT', path: '/internal/toolchains/:key', handle: storeToolchain },
    { method: 'POST', path: '/internal/logs', handle: takeLogs },
    { method: 'GET', path: '/internal/instances', handle: listInstances },
    { method: 'POST', path: '/internal/users/password', handle: resetPassword },
  ];
}

/** @throws NotFoundError for a path that nobody serves. */
export function findRoute(
  routes: readonly InternalRoute[],
  method: string,
  pathname: string,
): Pick<InternalRoute, 'handle'> & { params: Record<string, string> } {
  const asked = pathname.split('/').map(decode);
  for (const { handle, method: served, path } of routes) {
    const parts = path.split('/');
    if (served !== method || parts.length !== asked.length) continue;
    if (!parts.every((part, index) => part.startsWith(':') || part === asked[index])) continue;
    const named = parts.flatMap((part, index) => (part.startsWith(':') ? [[part.slice(1), asked[index] ?? '']] : []));
    return { handle, params: Object.fromEntries(named) as Record<string, string> };
  }
  throw new NotFoundError(UNKNOWN_REQUEST);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new InvalidRequestError('the path cannot be decoded');
  }
}
