import type { QueryClient } from '@tanstack/react-query';
import { createRootRouteWithContext, createRoute, createRouter } from '@tanstack/react-router';
import { signInAgain } from './data/http.ts';
import { appQuery, clusterQuery, overviewQuery, sessionQuery, spacesQuery } from './data/queries.ts';
import type { LiveStream } from './live/stream.ts';
import { AppPage } from './pages/app.tsx';
import { ClusterPage } from './pages/cluster.tsx';
import { HomePage } from './pages/home.tsx';
import { NotThere } from './pages/not-there.tsx';
import { SpacePage } from './pages/space.tsx';
import { Failure, Shell } from './ui/shell.tsx';

const LIVE_PATIENCE_MS = 400;

const root = createRootRouteWithContext<{ client: QueryClient; live(): LiveStream }>()({
  beforeLoad: async ({ context: { client, live } }) => {
    await client.ensureQueryData(sessionQuery).catch(async (error: { status?: number }) => {
      if (error.status !== 401) throw error;
      signInAgain();
      // The browser is on its way to another page: nothing shall be drawn meanwhile.
      await new Promise(() => undefined);
    });
    // What is listed after this is told of every change; without it the first pages are read twice.
    await live().begun(LIVE_PATIENCE_MS);
  },
  component: Shell,
  errorComponent: ({ error }) => <Failure error={error} />,
  notFoundComponent: () => <NotThere what="page" />,
});
const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  component: HomePage,
  loader: ({ context: { client } }) =>
    Promise.all([client.ensureQueryData(spacesQuery), client.ensureQueryData(overviewQuery(null))]),
});
const space = createRoute({
  getParentRoute: () => root,
  path: '/spaces/$guid',
  component: SpacePage,
  loader: ({ context: { client }, params: { guid } }) =>
    Promise.all([client.ensureQueryData(spacesQuery), client.ensureQueryData(overviewQuery(guid))]),
});
const cluster = createRoute({
  getParentRoute: () => root,
  path: '/cluster',
  component: ClusterPage,
  loader: ({ context: { client } }) => client.ensureQueryData(clusterQuery),
});
const app = createRoute({
  getParentRoute: () => root,
  path: '/apps/$guid',
  validateSearch: ({ log }): { log?: string } => (typeof log === 'string' ? { log } : {}),
  component: AppPage,
  errorComponent: ({ error }) => <Failure error={error} />,
  loader: ({ context: { client }, params: { guid } }) => client.ensureQueryData(appQuery(guid)),
});

export function makeRouter(client: QueryClient, live: () => LiveStream) {
  return createRouter({
    routeTree: root.addChildren([home, space, app, cluster]),
    basepath: '/dashboard',
    context: { client, live },
    defaultPreload: 'intent',
    // Freshness is the query cache's matter.
    defaultPreloadStaleTime: 0,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
