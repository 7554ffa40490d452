/** The static server as an app: settings from `site.json` beside it, whose root is relative to it; the port from PORT. Ends in order on SIGTERM. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createSite, type SiteOptions } from './site.ts';

/** Longer than the router keeps an idle connection to us, so that it is never the one to find it closed. */
const KEEP_ALIVE_MS = 30_000;

const settings = JSON.parse(readFileSync(join(import.meta.dirname, 'site.json'), 'utf8')) as SiteOptions;
const root = join(import.meta.dirname, settings.root);
const site = createSite({ ...settings, root, forceHttps: settings.forceHttps || Boolean(process.env.FORCE_HTTPS) });
const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => void site(request, response));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
server.listen(Number(process.env.PORT ?? 8080), () =>
  console.log(`serving ${root} on port ${process.env.PORT ?? 8080}`),
);
