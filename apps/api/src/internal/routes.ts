/** The calls of the internal listener, as the table at the top of `@cupola/contract/internal` lists them. */
import type { Role } from '@cupola/certificates/members/names';
import { InvalidRequestError, NotFoundError } from '@cupola/model/errors';
import { UNKNOWN_REQUEST } from '../cf-error.ts';
import { join, makeToken, renew } from '../members/join.ts';
import { listMembers, removeMember } from '../members/members.ts';
import { claimBuild, heartbeatBuild, nextBuild, sendPackage } from './builds.ts';
import type { InternalRoute } from './call.ts';
import { requireSelf } from './caller.ts';
import { drainCell, heartbeat, listCells, registerCell, requireCell } from './cells.ts';
import { finishBuild } from './finish-build.ts';
import { hasLayer, readToolchain, sendLayer, storeLayer, storeToolchain } from './layers.ts';
import { listInstances, takeBuildLogs, takeLogs, takeRequestCounts } from './platform.ts';
import { takeReport } from './reports.ts';
import { serveWatch } from './serve-watch.ts';
import { resetPassword } from './user-password.ts';
import type { Watches } from './watches.ts';

export function internalRoutes(watches: Watches<'placements' | 'routes' | 'builds' | 'peers'>): InternalRoute[] {
  const shared = (view: 'routes' | 'builds' | 'peers', role: Role): InternalRoute => ({
    method: 'GET',
    path: `/internal/${view}/watch`,
    for: [role],
    handle: call => serveWatch(call, (send, after) => watches.watch(view, { audience: null, send }, after)),
  });
  const placements: InternalRoute = {
    method: 'GET',
    path: '/internal/cells/:cellId/watch',
    for: ['agent'],
    handle: async call => {
      requireSelf(call.caller, { role: 'agent', id: call.params.cellId ?? '' });
      const audience = await requireCell(call);
      return serveWatch(call, (send, after) => watches.watch('placements', { audience, send }, after));
    },
  };
  return [
    { method: 'GET', path: '/internal/cells', handle: listCells },
    { method: 'POST', path: '/internal/cells', for: ['agent'], handle: registerCell },
    { method: 'POST', path: '/internal/cells/:cellId/heartbeat', for: ['agent'], handle: heartbeat },
    { method: 'POST', path: '/internal/cells/:cellId/reports', for: ['agent'], handle: takeReport },
    { method: 'POST', path: '/internal/cells/:cellId/drain', handle: drainCell },
    placements,
    shared('routes', 'router'),
    shared('builds', 'stager'),
    shared('peers', 'agent'),
    { method: 'GET', path: '/internal/builds/next', for: ['stager'], handle: nextBuild },
    { method: 'POST', path: '/internal/builds/:guid/claim', for: ['stager'], handle: claimBuild },
    { method: 'POST', path: '/internal/builds/:guid/heartbeat', for: ['stager'], handle: heartbeatBuild },
    { method: 'GET', path: '/internal/builds/:guid/package', for: ['stager'], handle: sendPackage },
    { method: 'POST', path: '/internal/builds/:guid/finish', for: ['stager'], handle: finishBuild },
    { method: 'POST', path: '/internal/builds/:guid/logs', for: ['stager'], handle: takeBuildLogs },
    { method: 'HEAD', path: '/internal/layers/:digest', for: ['stager'], handle: hasLayer },
    { method: 'GET', path: '/internal/layers/:digest', for: ['agent', 'stager'], handle: sendLayer },
    { method: 'PUT', path: '/internal/layers/:digest', for: ['stager'], handle: storeLayer },
    { method: 'GET', path: '/internal/toolchains/:key', for: ['stager'], handle: readToolchain },
    { method: 'PUT', path: '/internal/toolchains/:key', for: ['stager'], handle: storeToolchain },
    { method: 'POST', path: '/internal/logs', for: ['agent', 'router'], handle: takeLogs },
    { method: 'POST', path: '/internal/metrics', for: ['router'], handle: takeRequestCounts },
    { method: 'POST', path: '/internal/join', for: 'everybody', handle: join },
    { method: 'POST', path: '/internal/renew', for: ['agent', 'stager', 'router'], handle: renew },
    { method: 'POST', path: '/internal/cluster/tokens', handle: makeToken },
    { method: 'GET', path: '/internal/cluster/members', handle: listMembers },
    { method: 'POST', path: '/internal/cluster/members/:id/remove', handle: removeMember },
    { method: 'GET', path: '/internal/instances', handle: listInstances },
    { method: 'POST', path: '/internal/users/password', handle: resetPassword },
  ];
}

/** @throws NotFoundError for a path that nobody serves. */
export function findRoute(
  routes: readonly InternalRoute[],
  method: string,
  pathname: string,
): Pick<InternalRoute, 'handle' | 'for' | 'path'> & { params: Record<string, string> } {
  const asked = pathname.split('/').map(decode);
  for (const route of routes) {
    const { handle, method: served } = route;
    const parts = route.path.split('/');
    if (served !== method || parts.length !== asked.length) continue;
    if (!parts.every((part, index) => part.startsWith(':') || part === asked[index])) continue;
    const named = parts.flatMap((part, index) => (part.startsWith(':') ? [[part.slice(1), asked[index] ?? '']] : []));
    return {
      handle,
      path: route.path,
      for: route.for ?? [],
      params: Object.fromEntries(named) as Record<string, string>,
    };
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
