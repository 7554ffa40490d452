import './data/jitless.ts';
import '@fontsource/ibm-plex-sans/latin-400.css';
import '@fontsource/ibm-plex-sans/latin-600.css';
import '@fontsource/ibm-plex-mono/latin-400.css';
import '@fontsource/ibm-plex-mono/latin-500.css';
import './styles/tokens.css';
import './styles/page.css';
import './styles/apps.css';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { followStream } from './live/follow.ts';
import { LiveContext } from './live/live-context.ts';
import type { LiveStream } from './live/stream.ts';
import { createPushes, PushesContext } from './push/pushes.ts';
import { makeRouter } from './router.tsx';
import { readTheme, showTheme } from './ui/theme.ts';

showTheme(readTheme());
const client = new QueryClient({
  defaultOptions: {
    queries: {
      retry: false, // The live stream says when something has changed.
      staleTime: Number.POSITIVE_INFINITY,
      refetchOnWindowFocus: false,
      networkMode: 'always',
    },
  },
});
let stream: LiveStream | null = null;
/** Opened once somebody has signed in. */
const live = (): LiveStream => {
  stream ??= followStream(client);
  return stream;
};
const pushes = createPushes(Date.now);
const place = document.getElementById('root');
if (place !== null)
  createRoot(place).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <LiveContext value={live}>
          <PushesContext value={pushes}>
            <RouterProvider router={makeRouter(client, live)} />
          </PushesContext>
        </LiveContext>
      </QueryClientProvider>
    </StrictMode>,
  );
