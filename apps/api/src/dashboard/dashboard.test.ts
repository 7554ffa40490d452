import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { ADMIN_PASSWORD, startTestApi, type TestApi } from '../fixtures.ts';
import { aBrowser, signedIn } from './fixtures.ts';

const folder = mkdtempSync(join(tmpdir(), 'cupola-dashboard-'));
mkdirSync(join(folder, 'assets'));
writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Cupola</title>');
writeFileSync(join(folder, 'assets', 'index-a1B2.js'), 'let a = 1;');
writeFileSync(join(folder, 'assets', 'index-a1B2.js.br'), brotliCompressSync('let a = 1;'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const started = (): Promise<TestApi> => startTestApi({ dashboard: folder });

test('sign-in leaves one cookie: for this host alone, hidden from scripts, and it is no token', async () => {
  await using api = await started();
  const browser = await signedIn(api);
  expect([...browser.cookies.keys()]).toEqual([`__Host-cupola-session-${browser.port}`]);
  expect(browser.lastSetCookie).toContain('Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000; Secure');
  const secret = [...browser.cookies.values()][0] ?? '';
  const form = { grant_type: 'refresh_token', client_id: 'cf', refresh_token: secret };
  expect((await api.api('POST', '/oauth/token', { form })).status).toBe(401);
  expect((await api.api('GET', '/v3/apps', { token: secret })).status).toBe(401);
});

test.each([
  ['/dashboard/apps/a-1', '/dashboard/apps/a-1'],
  ['/dashboard/apps/a-1?log=1-22', '/dashboard/apps/a-1?log=1-22'],
  ['/dashboard/apps/a-1?to=//evil.example', '/dashboard/'],
  ['//evil.example/', '/dashboard/'],
  ['/dashboard/../v3', '/dashboard/'],
  // Would be read for longer than any test waits, were there several ways to read it.
  [`/dashboard/${'a'.repeat(60)}!`, '/dashboard/'],
])('who comes from %s goes back to %s', async (to, wanted) => {
  await using api = await started();
  const browser = await signedIn(api);
  const reply = await browser.ask(`/dashboard/sign-in?${new URLSearchParams({ to })}`);
  expect(reply.headers.get('location')).toBe(wanted);
});

test('a browser that keeps no Secure cookie over plain HTTP is signed in by a plain one', async () => {
  await using api = await started();
  const browser = await signedIn(api, { keepsSecure: false });
  expect([...browser.cookies.keys()]).toEqual([`cupola-session-${browser.port}`]);
  expect((await browser.ask('/dashboard/session')).status).toBe(200);
});

test('what the dashboard asks is answered as its user, and only there does the cookie count', async () => {
  await using api = await started();
  const { spaceGuid } = api.home;
  const user = await api.userWith({ space_developer: spaceGuid });
  const browser = await signedIn(api, { username: user.username });
  const spaces = await browser.json('/dashboard/api/v3/spaces');
  expect(spaces.resources.map((one: { guid: string }) => one.guid)).toEqual([spaceGuid]);
  expect((await browser.ask('/v3/spaces')).status).toBe(401);
  expect((await aBrowser(api).ask('/dashboard/api/v3/spaces')).status).toBe(401);
});

test('a change needs the CSRF token and our own origin; nothing is asked for a page of another one', async () => {
  await using api = await started();
  const browser = await signedIn(api);
  const body = JSON.stringify({ name: 'made' });
  const make = (headers: Record<string, string>) =>
    browser.ask('/dashboard/api/v3/organizations', { method: 'POST', body, headers });
  const { csrf_token: csrf } = await browser.json('/dashboard/session');
  const origin = `http://127.0.0.1:${browser.port}`;
  expect((await make({ origin })).status).toBe(403);
  expect((await make({ 'x-csrf-token': csrf })).status).toBe(403);
  expect((await make({ 'x-csrf-token': csrf, origin: 'http://evil.localhost:8080' })).status).toBe(403);
  expect((await make({ 'x-csrf-token': csrf, origin: `${origin}0` })).status).toBe(403);
  expect((await make({ 'x-csrf-token': csrf, origin, 'sec-fetch-site': 'same-site' })).status).toBe(403);
  expect((await browser.ask('/dashboard/session', { headers: { 'sec-fetch-site': 'same-site' } })).status).toBe(403);
  expect((await make({ 'x-csrf-token': csrf, origin, 'sec-fetch-site': 'same-origin' })).status).toBe(201);
});

test('the session gives no way to what gives out tokens or users', async () => {
  await using api = await started();
  const browser = await signedIn(api);
  for (const path of ['/oauth/token', '/oauth/clients/cf', '/Users', '/v3x', '/', '/dashboard/session'])
    expect(`${path} ${(await browser.ask(`/dashboard/api${path}`)).status}`).toBe(`${path} 404`);
});

test('sign-out ends the session, on the server too', async () => {
  await using api = await started();
  const browser = await signedIn(api);
  const kept = new Map(browser.cookies);
  const { csrf_token: csrf } = await browser.json('/dashboard/session');
  const headers = { 'x-csrf-token': csrf, origin: `http://127.0.0.1:${browser.port}` };
  expect((await browser.ask('/dashboard/session', { method: 'DELETE', headers })).status).toBe(204);
  expect(browser.cookies.size).toBe(0);
  for (const [name, value] of kept) browser.cookies.set(name, value);
  expect((await browser.ask('/dashboard/session')).status).toBe(401);
});

test('a session ends with a new password of its user, and after 30 days', async () => {
  await using api = await started();
  const user = await api.userWith({ space_developer: api.home.spaceGuid });
  const first = await signedIn(api, { username: user.username });
  const body = { password: 'another one', oldPassword: ADMIN_PASSWORD };
  await api.api('PUT', `/Users/${user.guid}/password`, { token: api.admin, body });
  expect((await first.ask('/dashboard/session')).status).toBe(401);
  const second = await signedIn(api);
  api.clock.pass(30 * 86_400_000 + 1_000);
  expect((await second.ask('/dashboard/session')).status).toBe(401);
});

test('a code counts once, in the browser where the sign-in began, for a minute', async () => {
  await using api = await started();
  const browser = aBrowser(api);
  const callback = await browser.codeFor('admin', ADMIN_PASSWORD);
  // Somebody else's browser, with a sign-in of its own under way.
  const other = aBrowser(api);
  await other.ask('/dashboard/sign-in');
  expect((await other.ask(callback)).headers.get('location')).toBe('/dashboard/sign-in');
  const kept = new Map(browser.cookies);
  expect((await browser.ask(callback)).headers.get('location')).toBe('/dashboard/');
  expect((await browser.ask('/dashboard/session')).status).toBe(200);
  const again = aBrowser(api);
  for (const [name, value] of kept) again.cookies.set(name, value);
  expect((await again.ask(callback)).headers.get('location')).toBe('/dashboard/sign-in');
  const late = aBrowser(api);
  const lateCallback = await late.codeFor('admin', ADMIN_PASSWORD);
  api.clock.pass(61_000);
  expect((await late.ask(lateCallback)).headers.get('location')).toBe('/dashboard/sign-in');
});

test('a wrong password is told on the page; a redirect elsewhere is refused and goes nowhere', async () => {
  await using api = await started();
  const browser = aBrowser(api);
  const page = (await browser.ask('/dashboard/sign-in')).headers.get('location') ?? '';
  const query = Object.fromEntries(new URL(page, api.url).searchParams);
  const typed = (more: Record<string, string>) =>
    browser.ask('/oauth/authorize', {
      method: 'POST',
      body: new URLSearchParams({ ...query, username: 'admin', password: 'wrong', ...more }),
    });
  const wrong = await typed({});
  expect(wrong.status).toBe(401);
  expect(await wrong.text()).toContain('That name and password do not belong together.');
  for (const redirect_uri of [
    'https://evil.example/dashboard/callback',
    `${api.url}/dashboard/callback/x`,
    `${api.url}.evil.example/dashboard/callback`,
    '//evil.example',
  ]) {
    const answer = await typed({ redirect_uri, password: ADMIN_PASSWORD });
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
  }
  for (const to of ['//evil.example', 'https://evil.example', '/dashboard/\\evil', '/dashboard/../v3']) {
    const back = aBrowser(api);
    const callback = await back.codeFor('admin', ADMIN_PASSWORD, to);
    expect((await back.ask(callback)).headers.get('location')).toBe('/dashboard/');
  }
});

test('the page is asked for anew each time, its assets are kept for good, and come compressed; its policy allows nothing inline', async () => {
  await using api = await started();
  const browser = aBrowser(api);
  const page = await browser.ask('/dashboard/apps/some-guid');
  expect([page.status, page.headers.get('cache-control')]).toEqual([200, 'no-cache']);
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';");
  expect(policy).toContain("require-trusted-types-for 'script'; trusted-types 'none'");
  expect(policy).not.toContain('unsafe');
  const asset = await browser.ask('/dashboard/assets/index-a1B2.js', { headers: { 'accept-encoding': 'gzip, br' } });
  expect(asset.headers.get('content-encoding')).toBe('br');
  expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(asset.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  expect(await asset.text()).toBe('let a = 1;');
  const plain = await browser.ask('/dashboard/assets/index-a1B2.js', { headers: { 'accept-encoding': 'identity' } });
  expect([plain.headers.get('content-encoding'), await plain.text()]).toEqual([null, 'let a = 1;']);
  for (const path of ['assets/../index.html', 'assets/%2e%2e%2findex.html', 'assets/nothing.js', 'assets/'])
    expect(`${path} ${(await browser.ask(`/dashboard/${path}`)).status}`).toMatch(/assets\/\.\.\/index.html 200| 404$/);
});
