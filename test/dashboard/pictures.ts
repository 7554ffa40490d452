/**
 * `npm run pictures -- --minutes N --review FOLDER`: makes the pictures of docs/how-to/dashboard.md anew. They show a whole platform with a scene of apps
 * (scene.ts), whose shop is visited for that long: the graphs of a quarter of an hour look best after some twelve. With a folder for review whole pages are put
 * there as well, light and dark, wide and narrow, to be looked over.
 */
import { parseArgs } from 'node:util';
import { startPlatform } from '../platform.ts';
import { startBrowser } from './browser.ts';
import { setScene, workOnShop } from './scene.ts';
import { dashboardIsBuilt, signIn } from './sign-in.ts';
import { showPlatform, showPush, showShop } from './views.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '12' }, review: { type: 'string' } },
});

await using platform = await startPlatform();
await using own = await startBrowser([Number(new URL(platform.facts.api).port), platform.facts.httpsPort]);
await platform.login();
using _visitors = await setScene(platform);
await dashboardIsBuilt(platform.facts.api);
const { page } = await signIn(own.browser, {
  origin: platform.facts.api,
  username: 'admin',
  password: platform.password(),
  complain: what => console.error(`the page complains: ${what}`),
});
const visit = { platform, page, folder: values.review };
await Promise.all([showPlatform(visit), workOnShop(platform, Number(values.minutes))]);
await showShop(visit);
await showPush(visit);
