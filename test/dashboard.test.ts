/**
 * The dashboard in a real Chromium, over a whole platform: what a developer does in it from an empty space to a rollback, what an auditor and a stranger may
 * not, and that nothing that an app is called or prints becomes code. On every page: no violation of the policy, no error, and axe finds nothing.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type OwnBrowser, startBrowser } from './dashboard/browser.ts';
import { COLOURS, shoot } from './dashboard/shots.ts';
import { dashboardIsBuilt, signIn } from './dashboard/sign-in.ts';
import { appFolder, type Platform, startPlatform, until } from './platform.ts';

const HOSTILE = '<img src=x onerror=alert(1)>';
/** Screenshots are kept where this names a folder, to be looked at; those of docs are made by pictures.ts. */
const SHOTS = process.env.CUPOLA_SHOTS;
const PASSWORD = 'a password of tests';

let platform: Platform;
let own: OwnBrowser;
/** What pages complained of; nothing, at the end of each test. */
let complaints: string[] = [];

beforeAll(async () => {
  platform = await startPlatform();
  own = await startBrowser([Number(new URL(platform.facts.api).port), platform.facts.httpsPort]);
  await platform.login();
  await dashboardIsBuilt(platform.facts.api);
});
afterAll(async () => {
  await own?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
});
afterEach(() => {
  const seen = complaints;
  complaints = [];
  expect(seen).toEqual([]);
});

function signedIn(username: string, password: string, origin = platform.facts.api) {
  return signIn(own.browser, { origin, username, password, complain: what => complaints.push(what) });
}

/** The page as it is now has nothing that axe knows to be a barrier; and a picture of it, if wanted. */
async function isSound(page: Page, name: string): Promise<void> {
  for (const colorScheme of COLOURS) {
    await page.emulateMedia({ colorScheme });
    // Not as a script of the page, which its policy would refuse.
    const found =
      await page.evaluate(`${axe.source}; axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })
      .then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(node => node.html).slice(0, 3).join(' ')))`);
    expect(found, `${name}, ${colorScheme}`).toEqual([]);
    if (SHOTS !== undefined) await shoot(page, { folder: SHOTS, name: `${name}-${colorScheme}` });
  }
}

/** A user with this role in a space of the home organization; without one, only a user. @returns our CLI as that user, in that space. */
async function aUser(
  name: string,
  role: string | null,
  space: string,
): Promise<(...args: string[]) => Promise<unknown>> {
  await platform.cupola(['create-user', name], { env: { CUPOLA_NEW_PASSWORD: PASSWORD } });
  const env = { CUPOLA_HOME: join(platform.data, `home-of-${name}`), CUPOLA_PASSWORD: PASSWORD };
  if (role === null) return async () => undefined;
  await platform.cupola(['set-role', name, role, '-s', space]);
  await platform.cupola(['login', '-a', platform.facts.api, '-u', name, '-o', 'cupola', '-s', space], { env });
  return (...args) => platform.cupola(args, { env });
}

/** An app that prints what a hostile one would, and crashes when it is told to. */
function makeApp(name: string, line: string): string {
  const folder = appFolder(platform.data, name);
  writeFileSync(join(folder, 'server.js'), line);
  return folder;
}
const SERVES = (version: string): string => `console.log('version ${version} is up');
console.log(JSON.stringify({ level: 'info', msg: 'pool is ready', pool: { size: 8 } }));
console.log('\\u001b[31mred\\u001b[0m \\u001b]8;;javascript:alert(1)\\u0007click\\u001b]8;;\\u0007 ${HOSTILE}');
require('node:http').createServer((_, response) => response.end('version ${version}')).listen(process.env.PORT);`;
const CRASHES = `console.error('Error: no database at db.example'); process.exit(3);`;

test('a developer goes from an empty space to an app that serves, reads its log, breaks it, sees why, rolls back, scales', async () => {
  await platform.cupola(['create-space', 'fresh']);
  const cupola = await aUser('developer', 'SpaceDeveloper', 'fresh');
  const { page, context } = await signedIn('developer', PASSWORD);
  await page.getByText('Nothing is pushed yet.').waitFor();
  await page.getByText(`cf login -a ${platform.facts.api} -u developer -o cupola -s fresh`).waitFor();
  await isSound(page, 'home-empty');

  const folder = makeApp('shop', SERVES('one'));
  await page.getByRole('link', { name: 'cupola / fresh' }).click();
  await page.getByLabel('Choose a folder').setInputFiles(folder);
  await until('the name is that of the folder', async () => (await page.getByLabel('name').inputValue()) === 'shop');
  await page.getByRole('button', { name: 'Push', exact: true }).click();
  await page.getByRole('heading', { name: 'shop' }).waitFor();
  const deployment = page.getByRole('region', { name: 'Deployment' });
  await deployment.getByText('takes requests').waitFor();
  await until('it serves', async () => (await platform.ask('shop.localhost')).body === 'version one');
  const log = page.getByRole('log');
  await log.getByText('version one is up').waitFor();
  // As text: the colour is ours, the link is none, the picture is none.
  await log.getByText('red', { exact: true }).waitFor();
  await log.getByText(`^[]8;;javascript:alert(1)^Gclick^[]8;;^G ${HOSTILE}`).waitFor();
  expect(await page.locator('a[href^="javascript"], img').count()).toBe(0);
  await log.getByText('pool={"size":8}').waitFor();
  await log.getByRole('button', { name: 'Unfold pool is ready' }).click();
  await log.getByText('"size": 8').waitFor();
  // Whoever looks closer is not carried on by newer lines.
  await page.getByRole('button', { name: 'paused: follow again' }).click();
  await showsState(page, 'running');
  await isSound(page, 'app-running');
  await page.getByRole('link', { name: 'fresh' }).click();
  await page.getByRole('listitem').filter({ hasText: 'shop' }).getByText('running').waitFor();
  await page.getByText('Map of routes, apps and services').click();
  // A straight line has no height, which is hidden to this tool.
  await page.locator('.map .lines path').first().waitFor({ state: 'attached' });
  await isSound(page, 'space');
  await page.getByText('Map of routes, apps and services').click();
  await page.getByRole('link', { name: 'shop', exact: true }).click();

  writeFileSync(join(folder, 'server.js'), CRASHES);
  // Somebody pushes elsewhere: the page that is open tells, and stays as it is.
  await cupola('push', 'shop', '-p', folder).catch(() => undefined);
  const trouble = page.getByRole('region', { name: 'What is wrong' });
  await trouble.getByText('Error: no database at db.example').first().waitFor();
  await log.getByText('Error: no database at db.example').first().waitFor();
  await isSound(page, 'app-crashing');
  const revisions = page.getByRole('region', { name: 'Revisions' });
  await revisions.getByText('what would change').first().click();
  await revisions.getByText('the code').first().waitFor();
  await isSound(page, 'app-difference');
  await trouble.getByRole('button', { name: 'Go back to revision 1' }).click();
  await until('the revision before serves', async () => (await platform.ask('shop.localhost')).body === 'version one');
  await showsState(page, 'running');

  // Measured and told while the page was open.
  const figures = page.getByRole('region', { name: 'Figures' });
  await figures.getByText('As a table').click();
  const asked = figures.getByRole('row', { name: 'requests a second 2xx' }).getByRole('cell').last();
  await until('the requests are in the figures', async () => Number(await asked.innerText()) > 0);
  await figures.getByRole('listitem').filter({ hasText: 'crash' }).first().waitFor();
  expect(await figures.locator('canvas').count()).toBe(5);

  const environment = page.getByRole('region', { name: 'Environment' });
  await environment.getByRole('button', { name: 'Show the variables' }).click();
  await environment.getByText(/^\d+ from the platform$/).click();
  await environment.getByRole('button', { name: 'show VCAP_APPLICATION' }).click();
  await environment.getByText('"application_name": "shop"').waitFor();
  await environment.getByLabel('Name of a variable').fill('COLOUR');
  await environment.getByLabel('Its value').fill('green');
  await environment.getByRole('button', { name: 'Set', exact: true }).click();
  await environment.getByRole('button', { name: 'show COLOUR' }).click();
  await environment.getByText('green', { exact: true }).waitFor();

  const tasks = page.getByRole('region', { name: 'Tasks' });
  await tasks.getByLabel('command', { exact: true }).fill('echo told by a task');
  await tasks.getByLabel('memory, MB').fill('64');
  await tasks.getByRole('button', { name: 'Run', exact: true }).click();
  const routes = page.getByRole('region', { name: 'Routes' });
  await routes.getByLabel('host', { exact: true }).fill('shop-too');
  await routes.getByRole('button', { name: 'Map', exact: true }).click();
  const second = routes.getByRole('listitem').filter({ hasText: 'shop-too.' });
  await second.getByRole('button', { name: 'Unmap' }).waitFor();
  await until('the second route serves', async () => (await platform.ask('shop-too.localhost')).body === 'version one');
  await tasks.getByText('succeeded').waitFor();
  await log.getByText('told by a task', { exact: true }).waitFor();

  const scale = page.getByRole('region', { name: 'Scale web' });
  await scale.getByLabel('memory, MB').fill('96');
  await scale.getByRole('button', { name: 'Scale and restart' }).waitFor();
  await scale.getByLabel('memory, MB').fill('64');
  await scale.getByLabel('instances').fill('2');
  await scale.getByRole('button', { name: 'Show this as a command' }).click();
  await scale.getByText('./cupola scale shop -i 2').waitFor();
  await scale.getByText('cf scale shop -i 2', { exact: true }).waitFor();
  await isSound(page, 'app-commands');
  await page.keyboard.press('Escape');
  await scale.getByRole('button', { name: 'Scale', exact: true }).click();
  await page.getByText('2 of 2 running').waitFor();
  await second.getByRole('button', { name: 'Unmap' }).click();
  await second.waitFor({ state: 'detached' });
  await until('two instances run', async () => {
    const { instances } = await platform.status();
    return instances.filter(({ app, state }) => app === 'shop' && state === 'RUNNING').length === 2;
  });

  // By keyboard to another page.
  await page.keyboard.press('Control+k');
  await page.getByLabel('Name of an app, a space').fill('fre');
  await page.getByRole('option', { name: 'space of cupola' }).waitFor();
  await isSound(page, 'palette');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'fresh' }).waitFor();
  await context.close();
});

/** The app's page says so by itself: it is not loaded anew. */
function showsState(page: Page, word: string): Promise<void> {
  return page.locator('.page-head .state').getByText(word, { exact: true }).waitFor();
}

test('a name that is HTML is shown as the text that it is', async () => {
  const spaces = (await platform.api('GET', '/v3/spaces?names=dev')).body as { resources: Array<{ guid: string }> };
  const relationships = { space: { data: { guid: spaces.resources[0]?.guid } } };
  const made = await platform.api('POST', '/v3/apps', { name: HOSTILE, relationships });
  const { page, context } = await signedIn('admin', platform.password());
  await page.getByRole('link', { name: 'cupola / dev' }).click();
  await page.getByRole('link', { name: HOSTILE }).click();
  await page.getByRole('heading', { name: HOSTILE }).waitFor();
  await isSound(page, 'app-empty');
  await page.getByLabel(`Type ${HOSTILE} to delete it`).fill(HOSTILE);
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { name: 'dev' }).waitFor();
  await until('it is gone', async () => {
    const { guid } = made.body as { guid: string };
    return (await platform.api('GET', `/v3/apps/${guid}`)).status === 404;
  });
  await context.close();
});

test('an auditor sees everything and may change nothing; a stranger sees nothing', async () => {
  await aUser('auditor', 'SpaceAuditor', 'dev');
  await aUser('stranger', null, '');
  const spaces = (await platform.api('GET', '/v3/spaces?names=dev')).body as { resources: Array<{ guid: string }> };
  const relationships = { space: { data: { guid: spaces.resources[0]?.guid } } };
  await platform.api('POST', '/v3/apps', { name: 'looked-at', relationships });
  const { page, context } = await signedIn('auditor', PASSWORD);
  await page.getByRole('link', { name: 'cupola / dev' }).click();
  await page.getByRole('link', { name: 'looked-at', exact: true }).click();
  const start = page.locator('.page-head').getByRole('button', { name: 'Start' });
  await start.waitFor();
  expect(await start.isDisabled()).toBe(true);
  expect(await start.getAttribute('title')).toContain('not change it');
  const address = page.url();
  // The page only spares the refusal: the API refuses.
  const answer = await page.evaluate(`fetch('/dashboard/session').then(answer => answer.json()).then(({ csrf_token }) =>
    fetch('/dashboard/api/v3/apps/' + location.pathname.split('/').at(-1) + '/actions/start', {
      method: 'POST', headers: { 'x-csrf-token': csrf_token },
    })).then(answer => answer.status)`);
  expect(answer).toBe(403);
  await isSound(page, 'app-auditor');
  await context.close();

  const other = await signedIn('stranger', PASSWORD);
  await other.page.getByText('You are in no space yet.').waitFor();
  await other.page.goto(address);
  await other.page.getByText('There is no such app for you.').waitFor();
  const session = '**/dashboard/session';
  await other.page.route(session, route => route.fulfill({ status: 403 }));
  await other.page.getByRole('button', { name: 'Sign out' }).click();
  await other.page.getByText('You are still signed in: the API answered 403.').waitFor();
  await other.page.unroute(session);
  await other.page.getByRole('button', { name: 'Sign out' }).click();
  await other.page.getByLabel('User name').waitFor();
  await other.context.close();
});

test('over HTTPS a session is a __Host- cookie alone, and a route says until when its certificate is good', async () => {
  const spaces = (await platform.api('GET', '/v3/spaces?names=dev')).body as { resources: Array<{ guid: string }> };
  const relationships = { space: { data: { guid: spaces.resources[0]?.guid } } };
  await platform.api('POST', '/v3/apps', { name: 'secured', relationships });
  await platform.cupola(['map-route', 'secured', 'localhost', '--hostname', 'secured']);
  const { page, context } = await signedIn(
    'admin',
    platform.password(),
    `https://api.localhost:${platform.facts.httpsPort}`,
  );
  const cookies = await context.cookies();
  expect(cookies.map(({ name, secure, httpOnly, sameSite }) => ({ name, secure, httpOnly, sameSite }))).toEqual([
    { name: `__Host-cupola-session-${platform.facts.httpsPort}`, secure: true, httpOnly: true, sameSite: 'Strict' },
  ]);
  await page.getByText('live', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'cupola / dev' }).click();
  await page.getByRole('link', { name: 'secured', exact: true }).click();
  await page.getByText(/^HTTPS too, by this platform’s own authority until /).waitFor();
  // A change, with the CSRF token and this origin.
  const environment = page.getByRole('region', { name: 'Environment' });
  await environment.getByLabel('Name of a variable').fill('COLOUR');
  await environment.getByLabel('Its value').fill('green');
  await environment.getByRole('button', { name: 'Set', exact: true }).click();
  await page.getByText('COLOUR is set.').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('User name').waitFor();
  expect((await context.cookies()).filter(({ name }) => name.includes('session'))).toEqual([]);
  await context.close();
});

test('an operator sees the machines, drains one and takes it back; others have no such page', async () => {
  const { page, context } = await signedIn('admin', platform.password());
  await page.getByRole('link', { name: 'Cluster' }).click();
  const cell = page.getByRole('region', { name: 'Cells' }).getByRole('row').nth(1);
  await cell.getByText('takes apps', { exact: true }).waitFor();
  await isSound(page, 'cluster');
  await cell.getByRole('button', { name: 'Drain' }).click();
  await cell.getByText(/^(draining|empty)$/).waitFor();
  await cell.getByRole('button', { name: 'Show this as a command' }).click();
  await cell.getByText(/cupola cell activate/).waitFor();
  await page.keyboard.press('Escape');
  await cell.getByRole('button', { name: 'Take apps again' }).click();
  await cell.getByText('takes apps', { exact: true }).waitFor();
  await context.close();

  await aUser('passer', 'SpaceDeveloper', 'dev');
  const other = await signedIn('passer', PASSWORD);
  expect(await other.page.getByRole('link', { name: 'Cluster' }).count()).toBe(0);
  await other.page.goto(`${platform.facts.api}/dashboard/cluster`);
  await other.page.getByText('There is no such page for you.').waitFor();
  await other.context.close();
});

test('10,000 lines are scrolled and filtered, and drawn only where one looks', async () => {
  const folder = makeApp(
    'chatty',
    `require('node:http').createServer((request, response) => {
  if (request.url === '/talk') for (let i = 0; i < 5000; i++) console.log('line ' + i + ' of many');
  response.end('ok');
}).listen(process.env.PORT);`,
  );
  await platform.cupola(['push', 'chatty', '-p', folder]);
  const { page, context } = await signedIn('admin', platform.password());
  await page.getByRole('link', { name: 'cupola / dev' }).click();
  await page.getByRole('link', { name: 'chatty', exact: true }).click();
  await page.getByText('Container became healthy').waitFor();
  for (let times = 0; times < 2; times++) {
    await platform.ask('chatty.localhost', '/talk');
    await until(`${(times + 1) * 5_000} lines are there`, async () => {
      const count = Number(/(\d+) lines/.exec(await page.locator('.log-foot').innerText())?.[1] ?? 0);
      return count > (times + 1) * 5_000;
    });
  }
  // A list drawn whole would stall a browser: at any moment only what is in sight is there.
  const most = await page.evaluate(`(async () => {
    const view = document.querySelector('.log');
    let most = 0;
    for (let at = 0; at < 40; at++) {
      view.scrollTop = (view.scrollHeight / 40) * at;
      await new Promise(requestAnimationFrame);
      most = Math.max(most, document.querySelectorAll('.log .line').length);
    }
    return most;
  })()`);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(100);
  await page.getByLabel('Filter the log').fill('line 4999 of');
  await page.getByText(/^2 of \d+ lines$/).waitFor();
  // A link to the older of the two shows it to whoever opens it, marked.
  await page.locator('.log .at').first().click();
  await page.getByText('A link to this line').waitFor();
  const address = page.url();
  await page.goto(address);
  await page.locator('.log .chosen').getByText('line 4999 of').waitFor();
  await context.close();
});
