/** Each picture of docs/how-to/dashboard.md, one after another: what is on it, and how one gets there. */
import type { Page } from 'playwright-core';
import { type Platform, until } from '../platform.ts';
import { sceneFolder, shop } from './scene-apps.ts';
import { review, takePicture } from './studio.ts';

export interface Visit {
  platform: Platform;
  page: Page;
  /** Folder for PNGs of whole pages, if wanted. */
  folder: string | undefined;
}

/** Long enough for a picture of a deployment in the middle of its work. */
const WARM_UP_MS = 15_000;

/** What does not need a shop that was visited for long. */
export async function showPlatform(visit: Visit): Promise<void> {
  const { page, platform, folder } = visit;
  await page.goto(`${platform.facts.api}/dashboard/`);
  await page.getByText('Look here first').waitFor();
  await takePicture(page, { name: 'home', height: 560 });
  await review(page, { folder, name: 'home' });

  await page.getByRole('link', { name: 'cupola / production' }).click();
  await page.getByText('Map of routes, apps and services').click();
  await page.locator('.map .lines path').first().waitFor({ state: 'attached' });
  await takePicture(page, { name: 'space', height: 1_010 });
  await review(page, { folder, name: 'space' });

  await page.getByRole('link', { name: 'Cluster' }).click();
  await page.getByRole('region', { name: 'Cells' }).waitFor();
  await takePicture(page, { name: 'cluster', height: 700 });
  await review(page, { folder, name: 'cluster' });

  await openApp(visit, 'billing');
  await page.getByRole('region', { name: 'What is wrong' }).waitFor();
  await page.getByRole('log').getByText('ECONNREFUSED').first().waitFor();
  await takePicture(page, { name: 'crash', height: 900 });
  await review(page, { folder, name: 'app-crashing' });
}

/** What its figures and its log are full of. */
export async function showShop(visit: Visit): Promise<void> {
  const { page, folder } = visit;
  await openApp(visit, 'shop');
  const figures = page.getByRole('region', { name: 'Figures' });
  await figures.locator('canvas').first().waitFor();
  await page.getByRole('region', { name: 'Routes' }).getByText('HTTPS too').first().waitFor();
  await review(page, { folder, name: 'app' });
  await page.locator('.instances').getByRole('button', { name: 'Show this as a command' }).last().click();
  await review(page, { folder, name: 'app-command' });
  await page.keyboard.press('Escape');
  await takePicture(page, { name: 'figures', part: figures });
  await takePicture(page, { name: 'narrow', width: 390, height: 844, colour: 'dark' });

  const scale = page.getByRole('region', { name: 'Scale web' });
  await scale.getByLabel('instances').fill('4');
  const services = page.getByRole('region', { name: 'Services' });
  await takePicture(page, { name: 'attached', part: page.locator('.columns'), end: services });
  await takePicture(page, { name: 'settings', part: page.getByRole('region', { name: 'Settings' }) });
  await scale.getByLabel('instances').fill('2');
  await unfoldError(page);
  await takePicture(page, { name: 'log', part: page.locator('#log'), colour: 'dark' });
}

/** A push from the page itself, while it starts. */
export async function showPush(visit: Visit): Promise<void> {
  const { page, platform, folder } = visit;
  await openApp(visit, 'shop');
  const files = sceneFolder(platform.data, 'shop', shop({ version: '1.6.0', warmUpMs: WARM_UP_MS }));
  await page.getByLabel('Choose a folder').setInputFiles(files);
  await page.getByText(/^shop: \d+ files/).waitFor();
  await page.getByRole('button', { name: 'Push', exact: true }).click();
  const added = page.getByRole('region', { name: 'web, the new version' });
  await added.getByText('starting').waitFor();
  await takePicture(page, { name: 'push', height: 720 });
  await review(page, { folder, name: 'app-deploying' });
}

async function openApp({ page, platform }: Visit, name: string): Promise<void> {
  const { body } = await platform.api('GET', `/v3/apps?names=${name}`);
  const [app] = (body as { resources: Array<{ guid: string }> }).resources;
  await page.goto(`${platform.facts.api}/dashboard/apps/${app?.guid}`);
  await page.getByRole('heading', { name, exact: true }).waitFor();
  await page.getByText('live', { exact: true }).first().waitFor();
}

/** A line of JSON that tells of an error, unfolded, with lines around it. */
async function unfoldError(page: Page): Promise<void> {
  const log = page.locator('#log');
  await log.getByLabel('Source').selectOption('APP/PROC/WEB');
  const fold = log.getByRole('button', { name: 'Unfold checkout failed' }).last();
  await fold.click();
  await log
    .locator('.line', { has: page.getByRole('button', { name: 'Fold checkout failed', exact: true }) })
    .locator('.at')
    .click();
  // Sixth from above, once there are lines enough below.
  await until('the line is in the middle', () =>
    page.evaluate(`(() => {
      const view = document.querySelector('.log');
      const line = view.querySelector('.chosen');
      const top = () => line.getBoundingClientRect().top - view.getBoundingClientRect().top;
      view.scrollTop += top() - 6 * 24;
      return Math.abs(top() - 6 * 24) < 2;
    })()`),
  );
}
