/** open: an app in the browser, or its address where there is no screen. */
import { spawn } from 'node:child_process';
import { readRoute } from '@cupola/contract/v3/client-reads';
import { WordedError } from '@cupola/push/failures';
import { readUrls } from '@cupola/push/urls';
import { type CliContext, findApp } from '../context.ts';
import { appOfFolder } from '../folder-app.ts';

export async function open(context: CliContext, given: string | undefined): Promise<void> {
  const name = given ?? appOfFolder('cupola open APP');
  const app = await findApp(context, name);
  const client = context.client();
  const [routes, urlOf] = await Promise.all([client.all(readRoute, `/v3/apps/${app.guid}/routes`), readUrls(client)]);
  const [url] = routes.filter(route => !urlOf.isInternal(route)).map(urlOf.url);
  if (url === undefined)
    throw new WordedError(`${name} has no route that a browser reaches.`, {
      next: `Give it one: cupola map-route ${name} DOMAIN --hostname ${name} (domains: cupola domains)`,
    });
  const opener = context.json ? null : openerOf(context);
  const isOpened = opener !== null && (await isStarted(opener, url));
  if (app.state !== 'STARTED') context.note(`${name} is stopped. Start it: cupola start ${name}`);
  context.result({ app: name, url, opened: isOpened }, url);
}

/** What shows an address on this screen; null: there is none, or nobody sits before it. */
function openerOf({ environment, isTerminal }: CliContext): string | null {
  if (!isTerminal) return null;
  if (environment.BROWSER) return environment.BROWSER;
  if (process.platform === 'darwin') return 'open';
  return environment.DISPLAY || environment.WAYLAND_DISPLAY ? 'xdg-open' : null;
}

/** Whether it could be started; nobody waits for its end. The address is one argument, and begins with http. */
function isStarted(program: string, url: string): Promise<boolean> {
  return new Promise(resolve => {
    const child = spawn(program, [new URL(url).href], { detached: true, stdio: 'ignore' });
    child.once('error', () => resolve(false));
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
}
