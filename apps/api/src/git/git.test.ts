import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { anApp } from '@cupola/store/fixtures';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADMIN_PASSWORD, startTestApi, type TestApi } from '../fixtures.ts';

interface Seen {
  method: string;
  url: string;
  headers: http.IncomingHttpHeaders;
  body: string;
}

describe('/git/', () => {
  let given: TestApi;
  let part: http.Server;
  const seen: Seen[] = [];

  beforeAll(async () => {
    part = http.createServer((request, response) => {
      let body = '';
      request.setEncoding('latin1').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
        response.writeHead(200, {
          'content-type': 'application/x-git-receive-pack-result',
          'cache-control': 'no-cache',
        });
        response.end('0000');
      });
    });
    await new Promise<void>(resolve => part.listen(0, '127.0.0.1', resolve));
    given = await startTestApi({ git: { url: `http://127.0.0.1:${(part.address() as AddressInfo).port}` } });
  });
  afterAll(async () => {
    await given[Symbol.asyncDispose]();
    await new Promise(resolve => part.close(resolve));
  });

  const basic = (user: string, password: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
  });
  const advert = (headers: Record<string, string>, path = '/git/cupola/dev/shop.git') =>
    given.api('GET', `${path}/info/refs?service=git-receive-pack`, { headers });

  test('without a login git is asked for one', async () => {
    const { status, headers, body } = await advert({});
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe('Basic realm="Cupola", charset="UTF-8"');
    expect(body).toMatch(/Log in/);
  });

  test('a wrong password and a wrong token say the same, and nothing is passed on', async () => {
    const before = seen.length;
    const [password, token] = [await advert(basic('admin', 'wrong')), await advert(basic('x', 'a.b.c'))];
    expect([password.status, token.status]).toEqual([401, 401]);
    expect(password.body).toBe(token.body);
    expect(seen.length).toBe(before);
  });

  test.each([
    ['name and password', () => basic('admin', ADMIN_PASSWORD)],
    ['an access token in its place', () => basic('bearer', given.admin)],
    ['an access token as the header', () => ({ authorization: `bearer ${given.admin}` })],
  ])('%s: what is passed on has a token of that user, and neither password nor token of theirs', async (_, login) => {
    const { status, body } = await advert(login());
    expect({ status, body }).toEqual({ status: 200, body: '0000' });
    const { headers, url } = seen.at(-1) as Seen;
    expect(url).toBe('/cupola/dev/shop.git/info/refs?service=git-receive-pack');
    const token = headers.authorization?.replace('bearer ', '') ?? '';
    expect(token).not.toBe(given.admin);
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ user_name: 'admin', grant_type: 'git' });
    expect(claims.exp - claims.iat).toBe(3_600);
    expect((await given.api('GET', '/v3/apps', { token })).status).toBe(200);
  });

  test('a push comes through as it is, with what git needs of its headers and no other', async () => {
    const answer = await fetch(`${given.url}/git/cupola/dev/${encodeURIComponent('my shop')}.git/git-receive-pack`, {
      method: 'POST',
      headers: {
        ...basic('bearer', given.admin),
        'content-type': 'application/x-git-receive-pack-request',
        'git-protocol': 'version=2',
        'x-other': 'stranger',
      },
      body: 'PACK',
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/x-git-receive-pack-result');
    expect(seen.at(-1)).toMatchObject({
      method: 'POST',
      url: '/cupola/dev/my%20shop.git/git-receive-pack',
      body: 'PACK',
      headers: { 'git-protocol': 'version=2', 'content-type': 'application/x-git-receive-pack-request' },
    });
    expect(seen.at(-1)?.headers['x-other']).toBeUndefined();
  });

  test('who may see the space and not push is told so; to others it is not there, whether it is or not', async () => {
    const before = seen.length;
    const auditor = await given.userWith({ space_auditor: given.home.spaceGuid });
    const stranger = await given.userWith();
    const refused = await advert(basic('bearer', auditor.token));
    expect(refused).toMatchObject({ status: 403, body: expect.stringMatching(/You may not push to cupola\/dev/) });
    const hidden = await advert(basic('bearer', stranger.token));
    const absent = await advert(basic('bearer', stranger.token), '/git/cupola/none/shop.git');
    expect([hidden.status, absent.status]).toEqual([404, 404]);
    expect(hidden.body).toBe(absent.body.replace('/none', '/dev'));
    expect(seen.length).toBe(before);
  });

  test('names that lead elsewhere in a path stay names', async () => {
    await advert(basic('bearer', given.admin), `/git/cupola/dev/${encodeURIComponent('../../etc/passwd')}.git`);
    expect(seen.at(-1)?.url).toBe('/cupola/dev/..%2F..%2Fetc%2Fpasswd.git/info/refs?service=git-receive-pack');
  });

  test('where no part listens it says so, and to try again', async () => {
    await using other = await startTestApi({ git: { socketPath: '/nonexistent/git.sock' } });
    const { status, body, headers } = await other.api(
      'GET',
      '/git/cupola/dev/x.git/info/refs?service=git-upload-pack',
      {
        token: other.admin,
      },
    );
    expect({ status, body }).toMatchObject({
      status: 503,
      body: expect.stringMatching(/cannot be received at this moment/),
    });
    expect(headers.get('retry-after')).toBe('5');
  });

  test('the dumb protocol is not spoken', async () => {
    expect((await given.api('GET', '/git/cupola/dev/x.git/info/refs', { token: given.admin })).status).toBe(403);
  });
});

describe('/v3/apps/:guid/git', () => {
  test('has the usual settings, keeps what is changed, and is gone with the app', async () => {
    await using api = await startTestApi();
    const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid, name: 'shop' });
    const path = `/v3/apps/${app.guid}/git`;
    const token = api.admin;
    const usual = {
      ...{ branch: null, on_failure: 'refuse', submodules: 'refuse' },
      ...{ previews: 'off', preview_hours: 72, preview_variables: [] },
    };
    expect((await api.api('GET', path, { token })).body).toEqual(usual);
    const body = { branch: 'live', on_failure: 'report', preview_variables: ['REGION'] };
    expect((await api.api('PATCH', path, { token, body })).body).toEqual({ ...usual, ...body });
    const more = { submodules: 'skip', previews: 'on', preview_hours: 5 };
    expect((await api.api('PATCH', path, { token, body: more })).body).toEqual({ ...usual, ...body, ...more });
    expect((await api.api('GET', '/v3/git_targets/cupola/dev/SHOP', { token })).body).toMatchObject({
      app: { guid: app.guid, name: 'shop' },
      settings: { branch: 'live' },
    });
    await api.api('DELETE', `/v3/apps/${app.guid}`, { token });
    expect(await api.deps.store.read.selectFrom('git_settings').selectAll().execute()).toEqual([]);
    expect((await api.api('GET', '/v3/git_targets/cupola/dev/shop', { token })).body).toMatchObject({ app: null });
  });

  test('refuses what is no branch, and rules that are none', async () => {
    await using api = await startTestApi();
    const app = await anApp(api.deps.store, { space_guid: api.home.spaceGuid });
    const patch = (body: unknown) => api.api('PATCH', `/v3/apps/${app.guid}/git`, { token: api.admin, body });
    expect((await patch({ branch: '--output=x' })).status).toBe(422);
    expect((await patch({ on_failure: 'ignore' })).status).toBe(422);
    expect((await patch({ previews: 'yes' })).status).toBe(422);
    expect((await patch({ preview_hours: 721 })).status).toBe(422);
  });
});
