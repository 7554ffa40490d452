/** From a change of state to the screen: a space of 1,000 apps is open in a real Chromium, an app is renamed by the API, and its card shows it. */
import { type Browser, chromium, type Page } from 'playwright-core';
import { type Platform, until } from '../test/platform.ts';
import { ms, notInstalled, type Row } from './table.ts';

const APPS = 1_000;
const CHANGES_A_ROUND = 20;
/** Requests under way while the apps are made. */
const AT_ONCE = 16;
const AIM_MS = 250;
const CHROMIUM = '/usr/bin/chromium';

type Made = { resources: Array<{ guid: string }> };

async function makeApps(platform: Platform): Promise<string[]> {
  const spaces = (await platform.api('GET', '/v3/spaces?names=dev')).body as Made;
  const relationships = { space: { data: { guid: spaces.resources[0]?.guid } } };
  const guids: string[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < APPS) {
      const name = nameOf(next++, 0);
      const { status, body } = await platform.api('POST', '/v3/apps', { name, relationships });
      if (status !== 201) throw new Error(`POST /v3/apps: ${status} ${JSON.stringify(body)}`);
      guids.push((body as { guid: string }).guid);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return guids;
}

const nameOf = (number: number, time: number): string => `shown-${String(number).padStart(4, '0')}-${time}`;

/** The space's page, live, with every card on it. */
async function openSpace(browser: Browser, platform: Platform): Promise<Page> {
  const page = await browser.newPage({ locale: 'en-GB' });
  page.setDefaultTimeout(120_000);
  const address = `${platform.facts.api}/dashboard/`;
  await until('the dashboard is built', async () => (await fetch(address)).status === 200, 180_000);
  await page.goto(address);
  await page.getByLabel('User name').fill('admin');
  await page.getByLabel('Password').fill(platform.password());
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'cupola / dev' }).click();
  await page.getByRole('button', { name: `Show all ${APPS}` }).click();
  await page.getByText(nameOf(APPS - 1, 0), { exact: true }).waitFor({ state: 'attached' });
  await page.getByRole('status').getByText('live', { exact: true }).waitFor();
  return page;
}

/** ms from before the request is sent until the frame after the one in which the text is there, by the clock that both share. */
async function shownAfter(page: Page, text: string, change: () => Promise<unknown>): Promise<number> {
  const shown = page.evaluate(`new Promise(resolve => {
    const look = () => {
      if (!document.body.innerText.includes(${JSON.stringify(text)})) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
  })`) as Promise<number>;
  // Evaluated in order: the observer is there once this has been answered.
  await page.evaluate('1');
  const begun = performance.timeOrigin + performance.now();
  await change();
  return (await shown) - begun;
}

export async function benchScreen(platform: Platform, rounds: number): Promise<Row[]> {
  const row = {
    row: '10.1',
    what: `a change of state to the screen, ${APPS} apps shown: p95`,
    aim: `<= ${AIM_MS} ms`,
  };
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] }).catch(() => null);
  if (browser === null) return [notInstalled({ ...row, ours: '' }, 'Chromium', 'chromium')];
  try {
    const guids = await makeApps(platform);
    const page = await openSpace(browser, platform);
    const took: number[] = [];
    const answered: number[] = [];
    for (let change = 0; change < rounds * CHANGES_A_ROUND; change++) {
      const name = nameOf(change, 1 + change);
      const guid = guids[change % guids.length] ?? '';
      took.push(
        await shownAfter(page, name, async () => {
          const begun = performance.now();
          await platform.api('PATCH', `/v3/apps/${guid}`, { name });
          answered.push(performance.now() - begun);
        }),
      );
    }
    const at = (values: readonly number[], part: number): number =>
      values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN;
    const p95 = at(took, 0.95);
    return [
      {
        ...row,
        ours: `${ms(p95)} (p50 ${ms(at(took, 0.5))})`,
        beside: `its answer alone: p50 ${ms(at(answered, 0.5))}, p95 ${ms(at(answered, 0.95))}`,
        ratio: null,
        met: p95 <= AIM_MS,
      },
    ];
  } finally {
    await browser.close();
  }
}
