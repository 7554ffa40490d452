/** The door for forges, with payloads as their documentation has them, and a part behind it that only answers. */
import { createHmac } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { anApp } from '@cupola/store/fixtures';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startTestApi, type TestApi } from '../../fixtures.ts';

const COMMIT = '6113728f27ae82c7b1a177c8d03f9e96e0adf246';
/** docs.github.com, "Webhook events and payloads: push"; shortened. */
const GITHUB = {
  ref: 'refs/heads/main',
  before: '0000000000000000000000000000000000000000',
  after: COMMIT,
  created: false,
  deleted: false,
  forced: false,
  repository: {
    id: 186853002,
    full_name: 'Codertocat/Hello-World',
    clone_url: 'http://169.254.169.254/latest/meta-data',
  },
  pusher: { name: 'Codertocat', email: '21031067+Codertocat@users.noreply.github.com' },
  commits: [],
};
/** docs.gitlab.com, "Webhook events: push events"; shortened. */
const GITLAB = {
  object_kind: 'push',
  event_name: 'push',
  before: '95790bf891e76fee5e1747ab589903a6a1f80f22',
  after: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
  ref: 'refs/heads/main',
  checkout_sha: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
  project: { id: 15, path_with_namespace: 'mike/diaspora', git_http_url: 'http://example.com/mike/diaspora.git' },
  total_commits_count: 4,
};

const LOOK_MS = 20;
const WAIT = { timeout: 30_000 };

describe('webhooks of forges', () => {
  let given: TestApi;
  let part: http.Server;
  const orders: { order: Record<string, unknown>; authorization: string }[] = [];
  let answerOfPart: () => { status: number; lines: unknown[] };

  beforeAll(async () => {
    part = http.createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        orders.push({ order: JSON.parse(body), authorization: request.headers.authorization ?? '' });
        const { status, lines } = answerOfPart();
        response.writeHead(status);
        response.end(lines.map(line => `${JSON.stringify(line)}\n`).join(''));
      });
    });
    await new Promise<void>(resolve => part.listen(0, '127.0.0.1', resolve));
    given = await startTestApi({
      git: { url: `http://127.0.0.1:${(part.address() as AddressInfo).port}` },
      loops: true,
      gitLookMs: LOOK_MS,
    });
  });
  afterAll(async () => {
    await given[Symbol.asyncDispose]();
    await new Promise(resolve => part.close(resolve));
  });
  beforeEach(() => {
    orders.length = 0;
    answerOfPart = () => ({ status: 200, lines: [{ say: 'Staged' }, { outcome: 'deployed' }] });
  });

  interface Made {
    guid: string;
    path: string;
    secret: string;
    hook: string;
  }
  async function webhook(body: Record<string, unknown> = {}, token = given.admin): Promise<Made> {
    const app = await anApp(given.deps.store, { space_guid: given.home.spaceGuid });
    const path = `/v3/apps/${app.guid}/git_webhook`;
    const made = await given.api('PUT', path, {
      token,
      body: { repository_url: 'https://github.com/team/shop.git', ...body },
    });
    expect(made.status).toBe(200);
    return { guid: app.guid, path, secret: made.body.secret, hook: new URL(made.body.url).pathname };
  }
  const send = async (
    hook: string,
    text: string,
    headers: Record<string, string>,
  ): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`${given.url}${hook}`, {
      method: 'POST',
      body: text,
      headers: { 'content-type': 'application/json', ...headers },
    });
    return { status: answer.status, text: await answer.text() };
  };
  const github = (made: Made, payload: unknown, { id = '1', event = 'push', type = 'application/json' } = {}) => {
    const json = JSON.stringify(payload);
    const text = type === 'application/json' ? json : new URLSearchParams({ payload: json }).toString();
    return send(made.hook, text, {
      'content-type': type,
      'x-github-event': event,
      'x-github-delivery': id,
      'x-hub-signature-256': `sha256=${createHmac('sha256', made.secret).update(text).digest('hex')}`,
    });
  };

  test('a push is handed to the part once, with what the developer has said and as that user', async () => {
    const made = await webhook({ login: { user: 'deployer', token: 'forge-token' } });
    expect(await github(made, GITHUB)).toMatchObject({
      status: 202,
      text: expect.stringMatching(/main 6113728f is being deployed/),
    });
    await vi.waitFor(() => expect(orders).toHaveLength(1), WAIT);
    expect(orders[0]?.order).toMatchObject({
      ...{ organization: 'cupola', space: 'dev', url: 'https://github.com/team/shop.git', ref: 'refs/heads/main' },
      ...{ commit: COMMIT, forge: 'github', login: { user: 'deployer', token: 'forge-token' } },
    });
    const claims = JSON.parse(Buffer.from(orders[0]?.authorization.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ user_name: 'admin', grant_type: 'git' });
    expect(await github(made, GITHUB)).toMatchObject({ status: 409, text: expect.stringMatching(/come before/) });
    expect((await github(made, GITHUB, { id: '2' })).status).toBe(409);
    expect((await github(made, { ...GITHUB, after: '1'.repeat(40) }, { id: '1' })).status).toBe(409);
    expect(orders).toHaveLength(1);
  });

  test('two of the same at once are one', async () => {
    const made = await webhook();
    const both = await Promise.all([github(made, GITHUB), github(made, GITHUB)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([202, 409]);
    await vi.waitFor(async () => expect(await waiting(made)).toEqual([]), WAIT);
    expect(orders).toHaveLength(1);
  });

  test('a form is read too; GitLab with a secret token, too', async () => {
    const form = await github(await webhook(), GITHUB, { type: 'application/x-www-form-urlencoded' });
    expect(form.status).toBe(202);
    const made = await webhook({ repository_url: 'https://gitlab.com/mike/diaspora' });
    const headers = { 'x-gitlab-token': made.secret, 'x-gitlab-event': 'Push Hook', 'x-gitlab-event-uuid': 'u-1' };
    expect((await send(made.hook, JSON.stringify(GITLAB), headers)).status).toBe(202);
    await vi.waitFor(() => expect(orders).toHaveLength(2), WAIT);
    expect(orders.map(({ order }) => order.forge).toSorted()).toEqual(['github', 'gitlab']);
  });

  test('other branches, removals, pings and tags deploy nothing', async () => {
    const made = await webhook({ branch: 'live' });
    const answers = [
      await github(made, GITHUB),
      await github(made, { ...GITHUB, ref: 'refs/tags/live' }),
      await github(made, { ...GITHUB, ref: 'refs/heads/live', after: '0'.repeat(40) }),
      await github(made, { zen: 'Design for failure.' }, { event: 'ping' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(answers[0]?.text).toMatch(/main deploys nothing: live does/);
    expect(orders).toEqual([]);
  });

  test('other branches and pull requests are previews where they are switched on, and end with them', async () => {
    const made = await webhook();
    const set = (previews: string) =>
      given.api('PATCH', `/v3/apps/${made.guid}/git`, { token: given.admin, body: { previews } });
    const app = (await given.api('GET', `/v3/apps/${made.guid}`, { token: given.admin })).body.name;
    const previews = async () =>
      (await given.api('GET', `/v3/apps/${made.guid}/git_previews`, { token: given.admin })).body.resources.map(
        ({ name, source }: Record<string, string>) => [name, source],
      );
    const push = { ...GITHUB, ref: 'refs/heads/fix' };
    const pull = (action: string, repo: number) => ({
      ...{ action, number: 12 },
      pull_request: { head: { ref: 'fix', sha: COMMIT, repo: { id: repo } }, base: { ref: 'main', repo: { id: 1 } } },
    });
    expect((await github(made, push)).status).toBe(200);
    await set('on');
    const first = await github(made, { ...push, again: 1 }, { id: '2' });
    expect(first).toMatchObject({ status: 202, text: expect.stringContaining(`cupola logs ${app}-fix`) });
    await vi.waitFor(() => expect(orders).toHaveLength(1), WAIT);
    expect(orders[0]?.order).toMatchObject({ app: `${app}-fix`, ref: 'refs/heads/fix', commit: COMMIT });
    const answers = [
      await github(made, pull('opened', 1), { id: '3', event: 'pull_request' }),
      await github(made, pull('opened', 2), { id: '4', event: 'pull_request' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers[0]?.text).toMatch(/deployed already/);
    expect(answers[1]?.text).toMatch(/comes from a fork/);
    await set('forks');
    const fork = await github(made, { ...pull('opened', 2), again: 1 }, { id: '5', event: 'pull_request' });
    expect(fork.status).toBe(202);
    await vi.waitFor(() => expect(orders).toHaveLength(2), WAIT);
    expect(orders[1]?.order).toMatchObject({ app: `${app}-pr-12`, ref: 'refs/pull/12/head' });
    expect(await previews()).toEqual([
      [`${app}-fix`, 'fix'],
      [`${app}-pr-12`, '#12'],
    ]);
    await github(made, { ref: 'fix', ref_type: 'branch' }, { id: '6', event: 'delete' });
    await github(made, pull('closed', 2), { id: '7', event: 'pull_request' });
    expect(await previews()).toEqual([]);
    expect((await github(made, { ...push, again: 1 }, { id: '2' })).status).toBe(409);
    expect(await previews()).toEqual([]);
  });

  test('a commit that was not deployed counts as new when the pull request tells of it', async () => {
    const made = await webhook();
    await given.api('PATCH', `/v3/apps/${made.guid}/git`, { token: given.admin, body: { previews: 'on' } });
    answerOfPart = () => ({ status: 200, lines: [{ outcome: 'failed' }] });
    const pull = {
      ...{ action: 'opened', number: 12 },
      pull_request: { head: { ref: 'fix', sha: COMMIT, repo: { id: 1 } }, base: { ref: 'main', repo: { id: 1 } } },
    };
    expect((await github(made, { ...GITHUB, ref: 'refs/heads/fix' })).status).toBe(202);
    const open = () => given.deps.store.read.selectFrom('git_orders').select('guid').execute();
    await vi.waitFor(async () => expect(await open()).toEqual([]), WAIT);
    answerOfPart = () => ({ status: 200, lines: [{ outcome: 'deployed' }] });
    expect((await github(made, pull, { id: '2', event: 'pull_request' })).status).toBe(202);
    await vi.waitFor(async () => expect(await open()).toEqual([]), WAIT);
    const synchronized = { ...pull, action: 'synchronize' };
    expect((await github(made, synchronized, { id: '3', event: 'pull_request' })).text).toMatch(/deployed already/);
  });

  test('previews of forks end when they are switched off; an order of a preview that is not allowed any more is dropped', async () => {
    const made = await webhook();
    const set = (previews: string) =>
      given.api('PATCH', `/v3/apps/${made.guid}/git`, { token: given.admin, body: { previews } });
    const sources = async () =>
      (await given.api('GET', `/v3/apps/${made.guid}/git_previews`, { token: given.admin })).body.resources.map(
        ({ source }: Record<string, string>) => source,
      );
    const held = () => given.deps.store.read.selectFrom('git_orders').select('held_until').execute();
    const pull = {
      ...{ action: 'opened', number: 12 },
      pull_request: { head: { ref: 'x', sha: COMMIT, repo: { id: 2 } }, base: { ref: 'main', repo: { id: 1 } } },
    };
    await set('forks');
    answerOfPart = () => ({ status: 503, lines: [] });
    await github(made, { ...GITHUB, ref: 'refs/heads/fix' });
    await github(made, pull, { id: '2', event: 'pull_request' });
    const later = given.clock.now() + 5_000;
    await vi.waitFor(async () => expect(await held()).toEqual([{ held_until: later }, { held_until: later }]), WAIT);
    expect(await sources()).toEqual(['fix', '#12']);
    await set('off');
    expect([await sources(), await held()]).toEqual([['fix'], [{ held_until: later }]]);
    orders.length = 0;
    given.clock.pass(5_000);
    await vi.waitFor(async () => expect(await held()).toEqual([]), WAIT);
    expect(orders).toEqual([]);
  });

  test('a wrong secret, another webhook, a large body and what is no push are refused', async () => {
    const made = await webhook();
    const other = await webhook();
    expect((await github({ ...made, secret: other.secret }, GITHUB)).status).toBe(401);
    expect((await send(made.hook, JSON.stringify(GITHUB), {})).status).toBe(401);
    expect((await github({ ...made, hook: '/webhooks/git/none' }, GITHUB)).status).toBe(404);
    expect((await github(made, { ref: 'refs/heads/main', after: '--upload-pack=id' })).status).toBe(422);
    expect((await send(made.hook, 'x'.repeat(8 * 1024 * 1024 + 1), {})).status).toBe(413);
    expect(orders).toEqual([]);
  });

  test('over SSH it has a key of its own, and the host is known by what the part has seen first', async () => {
    const made = await webhook({ repository_url: 'git@github.com:team/shop.git' });
    const shown = async () => (await given.api('GET', made.path, { token: given.admin })).body;
    expect(await shown()).toMatchObject({
      repository_url: 'ssh://git@github.com/team/shop.git',
      deploy_key: expect.stringMatching(/^ssh-ed25519 [\w+/]+ cupola-[\w.-]+$/),
      known_hosts: null,
    });
    const seen = ['github.com ssh-ed25519 AAAA', 'github.com ssh-ed25519 BBBB'];
    for (const [at, known_hosts] of seen.entries()) {
      answerOfPart = () => ({ status: 200, lines: [{ known_hosts }, { outcome: 'deployed' }] });
      await github(made, { ...GITHUB, again: at }, { id: String(at) });
      await vi.waitFor(async () => expect([orders.length, await waiting(made)]).toEqual([at + 1, []]), WAIT);
    }
    expect((await shown()).known_hosts).toBe(seen[0]);
    expect(orders.map(({ order }) => order.deploy_key)).toEqual([
      { private: expect.stringMatching(/^-----BEGIN OPENSSH PRIVATE KEY-----/), known_hosts: null },
      { private: expect.any(String), known_hosts: seen[0] },
    ]);
    const stored = await given.deps.store.read
      .selectFrom('git_webhooks')
      .select('deploy_key_sealed')
      .where('app_guid', '=', made.guid)
      .executeTakeFirst();
    expect(stored?.deploy_key_sealed).not.toContain('OPENSSH');
    const put = (body: Record<string, unknown>) => given.api('PUT', made.path, { token: given.admin, body });
    const login = { user: 'a', token: 'b' };
    expect((await put({ repository_url: 'git@github.com:team/shop.git', login })).status).toBe(422);
    expect((await put({ repository_url: 'https://github.com/team/shop', known_hosts: seen[0] })).status).toBe(422);
    expect(
      (await put({ repository_url: 'git@github.com:team/shop.git', known_hosts: '@cert-authority * x' })).status,
    ).toBe(422);
  });

  const waiting = (made: Made) =>
    given.deps.store.read.selectFrom('git_orders').selectAll().where('app_guid', '=', made.guid).execute();
  const linesOf = async (made: Made) =>
    (await given.deps.logs.read({ appGuid: made.guid, limit: 100, descending: false }))
      .map(({ line }) => line)
      .join('\n');

  test('what was taken is handed over again while the part does not take it, and until it has said the end', async () => {
    const made = await webhook();
    answerOfPart = () => ({ status: 503, lines: [] });
    expect((await github(made, GITHUB)).status).toBe(202);
    await vi.waitFor(async () => expect((await waiting(made))[0]?.held_until).toBe(given.clock.now() + 5_000), WAIT);
    expect(orders).toHaveLength(1);
    // In the middle of it the part is killed.
    answerOfPart = () => ({ status: 200, lines: [{ say: 'Staging' }] });
    given.clock.pass(5_000);
    await vi.waitFor(async () => expect((await waiting(made))[0]?.held_until).toBe(given.clock.now() + 10_000), WAIT);
    expect(orders).toHaveLength(2);
    answerOfPart = () => ({ status: 200, lines: [{ outcome: 'deployed' }] });
    given.clock.pass(10_000);
    await vi.waitFor(async () => expect(await waiting(made)).toEqual([]), WAIT);
    expect(orders.map(({ order }) => order.commit)).toEqual([COMMIT, COMMIT, COMMIT]);
    expect(await linesOf(made)).toMatch(/git: Staging\n.*It is done again/);
  });

  test('what another API has taken, which is gone, is gone on with; of a webhook that was removed it is not', async () => {
    const [made, removed] = [await webhook(), await webhook()];
    const left = (guid: string, of: Made) => ({
      ...{ guid, app_guid: of.guid, webhook_guid: of.hook.split('/').at(-1) ?? '', commit_id: COMMIT, forge: 'gitea' },
      ...{ attempts: 1, held_until: given.clock.now() + 60_000, created_at: given.clock.now() },
    });
    expect((await given.api('DELETE', removed.path, { token: given.admin })).status).toBe(204);
    await given.deps.store.mutate(({ db }) =>
      db
        .insertInto('git_orders')
        .values([left('order-1', made), left('order-2', removed)])
        .execute(),
    );
    given.clock.pass(59_000);
    await new Promise(resolve => setTimeout(resolve, 5 * LOOK_MS));
    expect(orders).toEqual([]);
    given.clock.pass(1_000);
    await vi.waitFor(async () => expect([await waiting(made), await waiting(removed)]).toEqual([[], []]), WAIT);
    expect(orders.map(({ order }) => [order.commit, order.forge])).toEqual([[COMMIT, 'gitea']]);
  });

  test("is its developer's: whoever may not push any more deploys nothing, and a new secret ends the old one", async () => {
    const ada = await given.userWith({ space_developer: given.home.spaceGuid });
    const made = await webhook({}, ada.token);
    const again = await given.api('PUT', made.path, {
      token: ada.token,
      body: { repository_url: 'https://github.com/team/shop' },
    });
    expect((await github(made, GITHUB)).status).toBe(404);
    const newer = { ...made, secret: again.body.secret, hook: new URL(again.body.url).pathname };
    const auditor = await given.userWith({ space_auditor: given.home.spaceGuid });
    expect((await given.api('GET', made.path, { token: auditor.token })).status).toBe(403);
    const shown = await given.api('GET', made.path, { token: given.admin });
    expect(shown.body).toMatchObject({ user: ada.username, branch: 'main', has_login: false });
    expect(shown.body.secret).toBeUndefined();
    await given.deps.store.mutate(({ db }) => db.deleteFrom('roles').where('user_guid', '=', ada.guid).execute());
    expect((await github(newer, GITHUB)).status).toBe(403);
    expect(orders).toEqual([]);
  });

  test('takes no address but those of https and SSH, without a login', async () => {
    const app = await anApp(given.deps.store, { space_guid: given.home.spaceGuid });
    const put = (repository_url: string) =>
      given.api('PUT', `/v3/apps/${app.guid}/git_webhook`, { token: given.admin, body: { repository_url } });
    for (const url of [
      'ssh://git:secret@github.com/a/b',
      'ssh://-oProxyCommand=id/a/b',
      'ext::sh -c id',
      'https://u:p@github.com/a/b',
      '-upload-pack=id',
      'file:///etc',
    ])
      expect((await put(url)).status).toBe(422);
  });

  // Last: tokens of the others would be too old.
  test('what was in vain for an hour is left, and the log says what to do', async () => {
    const made = await webhook();
    answerOfPart = () => ({ status: 503, lines: [] });
    await github(made, GITHUB);
    await vi.waitFor(async () => {
      given.clock.pass(60_000);
      await new Promise(resolve => setTimeout(resolve, LOOK_MS));
      expect(await waiting(made)).toEqual([]);
    }, WAIT);
    expect(await linesOf(made)).toMatch(/tried for an hour: push again/);
  });
});
