/** The dashboard of a platform, open in a browser: what its test and its pictures begin with. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { until } from '../platform.ts';

interface SignIn {
  /** Of the API, by http or https. */
  origin: string;
  username: string;
  password: string;
  /** Hears what the page complains of: errors, dialogs, violations of its policy. */
  complain(what: string): void;
}

/** A window of its own, with the page that is first after signing in. */
export async function signIn(
  browser: Browser,
  { origin, username, password, complain }: SignIn,
): Promise<{ page: Page; context: BrowserContext }> {
  // Without a locale of its own, Chromium has none here.
  const context = await browser.newContext({
    locale: 'en-GB',
    viewport: { width: 1_360, height: 900 },
    // The certificate is of the platform's own authority; clients that trust this one are test/https.test.ts's.
    ignoreHTTPSErrors: true,
  });
  await context.addInitScript(`document.addEventListener('securitypolicyviolation', event =>
    console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample))`);
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  page.on('pageerror', error => complain(String(error)));
  page.on('dialog', dialog => {
    complain(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', message => {
    // Who has not signed in yet, and what a test is refused on purpose, is told by a status.
    if (message.type() === 'error' && !/status of 40[134]/.test(message.text())) complain(message.text());
  });
  await page.goto(`${origin}/dashboard/`);
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1 }).waitFor();
  return { page, context };
}

/** The first request has the dashboard built, by each API for itself: in a cluster two connections come to two of them. */
export async function dashboardIsBuilt(api: string): Promise<void> {
  const page = `${api}/dashboard/`;
  await until(
    'the dashboard is built',
    async () => (await Promise.all([fetch(page), fetch(page)])).every(({ status }) => status === 200),
    180_000,
  );
}
