import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, createServer } from 'node:tls';
import { openOwnCa } from '@cupola/certificates/own-ca';
import { expect, test } from 'vitest';
import { makeApp } from '../apps/fixtures.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';

/** Speaks TLS as a router does: for one host its own certificate, for all others another one. */
async function aRouter() {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-router-'));
  const ca = openOwnCa({ folder, now: Date.now });
  const [own, other] = await Promise.all([ca.issue(['shop.localhost']), ca.issue(['elsewhere.localhost'])]);
  const asked: string[] = [];
  const server = createServer({
    ...other,
    SNICallback: (name, done) => {
      asked.push(name);
      done(null, createSecureContext(name === 'shop.localhost' ? own : other));
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    door: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    asked,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function mapHosts(test: TestApi, appGuid: string, hosts: readonly string[]): Promise<void> {
  for (const host of hosts) {
    const relationships = {
      space: { data: { guid: test.home.spaceGuid } },
      domain: { data: { guid: test.home.domainGuid } },
    };
    const route = await test.api('POST', '/v3/routes', { token: test.admin, body: { host, relationships } });
    await test.api('POST', `/v3/routes/${route.body.guid}/destinations`, {
      token: test.admin,
      body: { destinations: [{ app: { guid: appGuid } }] },
    });
  }
}

test('GET /v3/apps/:guid/route_certificates says what a router shows for each host, asks it once for what fits, and not for wildcards', async () => {
  await using router = await aRouter();
  await using test = await startTestApi({ https: { port: 8_443, certificates: 'own', doors: [router.door] } });
  const app = await makeApp(test, { name: 'shop' });
  await mapHosts(test, app.guid, ['shop', 'wrong', '*']);
  const ask = () => test.api('GET', `/v3/apps/${app.guid}/route_certificates`, { token: test.admin });
  const answer = await ask();
  const own = { signed_by: 'own', issuer: expect.stringContaining('Cupola CA') };
  expect(answer.body).toEqual({
    https: 'routers',
    resources: [
      { host: '*.localhost', certificate: null },
      { host: 'shop.localhost', certificate: expect.objectContaining({ ...own, fits: true }) },
      { host: 'wrong.localhost', certificate: expect.objectContaining({ ...own, fits: false }) },
    ],
  });
  await ask();
  expect(router.asked.toSorted()).toEqual(['shop.localhost', 'wrong.localhost']);
  test.clock.pass(2_000);
  await ask();
  expect(router.asked.toSorted()).toEqual(['shop.localhost', 'wrong.localhost', 'wrong.localhost']);
});

test('GET /v3/apps/:guid/route_certificates looks soon again while an ordered certificate has not come', async () => {
  await using router = await aRouter();
  await using test = await startTestApi({ https: { port: null, certificates: 'acme', doors: [router.door] } });
  const app = await makeApp(test, { name: 'shop' });
  await mapHosts(test, app.guid, ['shop']);
  const ask = () => test.api('GET', `/v3/apps/${app.guid}/route_certificates`, { token: test.admin });
  await ask();
  test.clock.pass(2_000);
  await ask();
  expect(router.asked).toEqual(['shop.localhost', 'shop.localhost']);
});

test('GET /v3/apps/:guid/route_certificates begins with the routers that answer', async () => {
  await using router = await aRouter();
  const tried = { count: 0 };
  await using broken = createTcpServer(socket => {
    tried.count += 1;
    socket.destroy();
  });
  broken.listen(0, '127.0.0.1');
  await once(broken, 'listening');
  const door = { host: '127.0.0.1', port: (broken.address() as AddressInfo).port };
  await using test = await startTestApi({ https: { port: null, certificates: 'own', doors: [door, router.door] } });
  const app = await makeApp(test, { name: 'shop' });
  const ask = () => test.api('GET', `/v3/apps/${app.guid}/route_certificates`, { token: test.admin });
  await mapHosts(test, app.guid, ['shop']);
  await ask();
  await mapHosts(test, app.guid, ['wrong']);
  await ask();
  expect([tried.count, router.asked]).toEqual([1, ['shop.localhost', 'wrong.localhost']]);
  test.clock.pass(20_000);
  await ask();
  expect(tried.count).toBeGreaterThan(1);
});

test('GET /v3/apps/:guid/route_certificates says so where no router answers, and where none speaks HTTPS', async () => {
  const router = await aRouter();
  await router[Symbol.asyncDispose]();
  await using test = await startTestApi({ https: { port: null, certificates: 'own', doors: [router.door] } });
  const app = await makeApp(test, { name: 'shop' });
  await mapHosts(test, app.guid, ['shop']);
  const answer = await test.api('GET', `/v3/apps/${app.guid}/route_certificates`, { token: test.admin });
  expect(answer.body.resources).toEqual([{ host: 'shop.localhost', certificate: null }]);
  await using plain = await startTestApi();
  const other = await makeApp(plain, { name: 'shop' });
  const none = await plain.api('GET', `/v3/apps/${other.guid}/route_certificates`, { token: plain.admin });
  expect(none.body).toEqual({ https: 'none', resources: [] });
});
