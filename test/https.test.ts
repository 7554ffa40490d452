/** The other door: apps and the API over HTTPS, under the platform's own CA, as a client that trusts nothing else sees it. */
import https from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Platform, ROOT, startPlatform } from './platform.ts';

describe('over HTTPS', () => {
  let platform: Platform;
  let ca: string;
  let port: number;
  beforeAll(async () => {
    platform = await startPlatform();
    port = platform.facts.httpsPort;
    ca = (await platform.cupola(['ca', '--data', String(platform.machines[0])])).stdout;
  });
  afterAll(() => platform[Symbol.asyncDispose]());

  /** Dials this machine, asks for the certificate of `host`. */
  function ask(
    host: string,
    path: string,
    { method = 'GET', headers = {}, body = '' } = {},
  ): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, servername: host, path, method, ca, agent: false };
      https
        .request({ ...options, headers: { host: `${host}:${port}`, ...headers } }, response => {
          text(response).then(said => resolve({ status: response.statusCode ?? 0, body: said }), reject);
        })
        .on('error', reject)
        .end(body);
    });
  }

  test('a push through api.DOMAIN, and the app answers under a certificate for its name', async () => {
    const { links } = JSON.parse((await ask('api.localhost', '/')).body) as { links: Record<string, { href: string }> };
    expect(links.cloud_controller_v3?.href).toBe(`https://api.localhost:${port}/v3`);
    expect(new URL(links.login?.href ?? '').protocol).toBe('https:');
    const answer = await ask(new URL(links.login?.href ?? '').hostname, '/oauth/token', {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from('cf:').toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({
        grant_type: 'password',
        username: 'admin',
        password: platform.password(),
      }).toString(),
    });
    const token = (JSON.parse(answer.body) as { access_token: string }).access_token;
    const headers = { authorization: `bearer ${token}` };
    await platform.login();
    await platform.cupola(['push'], { cwd: join(ROOT, 'examples/node-hello') });
    const apps = await ask('api.localhost', '/v3/apps', { headers });
    expect(JSON.parse(apps.body)).toMatchObject({ resources: [{ name: 'node-hello', state: 'STARTED' }] });
    expect(await ask('node-hello.localhost', '/')).toEqual({ status: 200, body: 'Hello from instance 0, version 1\n' });
  });

  test('a client that does not know the CA is not served', async () => {
    const stranger = new Promise((_resolve, reject) => {
      https
        .get({ host: '127.0.0.1', port, servername: 'node-hello.localhost', agent: false }, () => undefined)
        .on('error', reject);
    });
    await expect(stranger).rejects.toThrow(/certificate/);
  });
});
