import { cpSync, mkdirSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tenantsPolicy } from '@cupola/images/registry/policy';
import { describe, expect, test } from 'vitest';
import { type Scratch, scratch } from '../fixtures.ts';
import { runGit } from '../git-process.ts';
import { openRepositories } from '../repositories.ts';
import { fetchBranch } from './fetch-branch.ts';
import { startForge, type TestForge } from './forge-fixture.ts';
import { findPlace, type Place } from './place.ts';
import { sendStatus, statusRequest } from './status.ts';

const APP = 'aaaaaaaa-0000-4000-8000-000000000000';
const LOGIN = { user: 'deployer', token: 'forge-token' };

interface World extends AsyncDisposable {
  forge: TestForge;
  /** That is fetched into. */
  repository: string;
  commit: string;
  fetch(host?: string, login?: typeof LOGIN | null): Promise<string>;
  fetchFrom(place: Place, login?: typeof LOGIN | null, isKept?: boolean): Promise<string>;
}

/** A forge with one repository, and an empty one that fetches from it. */
async function world(allowed: (forge: TestForge) => string[] = forge => [`http://${forge.host}`]): Promise<World> {
  const given: Scratch = scratch();
  const root = join(given.folder, 'forge');
  const commit = given.commit([{ path: 'server.js', content: 'x' }]);
  mkdirSync(join(root, 'team'), { recursive: true });
  await runGit(given.git, [`--git-dir=${given.repository}`, 'update-ref', 'refs/heads/main', commit]);
  renameSync(given.repository, join(root, 'team', 'shop.git'));
  const repositories = openRepositories(given.git, given.folder);
  const repository = await repositories.open(APP);
  const forge = await startForge(given.git, { root, ...LOGIN });
  const fetchFrom = (place: Place, login: typeof LOGIN | null = LOGIN, isKept = true): Promise<string> =>
    fetchBranch(
      { git: given.git, repositories },
      {
        appGuid: APP,
        ref: 'refs/heads/main',
        isKept,
        place,
        login,
        ssh: null,
        signal: new AbortController().signal,
      },
    );
  return {
    ...{ forge, repository },
    commit,
    fetchFrom,
    fetch: async (host = forge.host, login: typeof LOGIN | null = LOGIN) =>
      fetchFrom(await findPlace(`http://${host}/team/shop.git`, tenantsPolicy(allowed(forge))), login),
    [Symbol.asyncDispose]: async () => {
      await forge[Symbol.asyncDispose]();
      given[Symbol.dispose]();
    },
  };
}

describe('fetchBranch()', () => {
  test('fetches the last commit of a branch, with the login', async () => {
    await using given = await world();
    expect(await given.fetch()).toBe(given.commit);
    expect(given.forge.asked[0]).toBe('/team/shop.git/info/refs with the login');
  });

  test('fetches of one app follow one another, and those of previews leave nothing', async () => {
    await using given = await world();
    cpSync(join(given.forge.root, 'team', 'shop.git'), join(given.forge.root, 'team', 'fork.git'), { recursive: true });
    const policy = tenantsPolicy([`http://${given.forge.host}`]);
    const fetch = async (name: string, isKept: boolean) =>
      given.fetchFrom(await findPlace(`http://${given.forge.host}/team/${name}.git`, policy), LOGIN, isKept);
    expect(await Promise.all([fetch('fork', false), fetch('shop', true)])).toEqual([given.commit, given.commit]);
    const asked = given.forge.asked.map(path => (path.includes('/fork.git/') ? 'fork' : 'shop'));
    expect(asked.filter((name, at) => name !== asked[at - 1])).toHaveLength(2);
    expect(readdirSync(join(given.repository, 'refs', 'cupola'))).toEqual(['fetched']);
  });

  test("a lock that a killed git has left is in nobody's way after a minute", async () => {
    await using given = await world();
    const lock = join(given.repository, 'shallow.lock');
    writeFileSync(lock, '');
    await expect(given.fetch()).rejects.toThrow(/main could not be fetched/);
    const before = new Date(Date.now() - 120_000);
    utimesSync(lock, before, before);
    expect(await given.fetch()).toBe(given.commit);
  });

  test('dials the address that was judged, whatever the name would lead to', async () => {
    await using given = await world();
    const [, port = ''] = given.forge.host.split(':');
    const place = {
      url: new URL(`http://forge.invalid:${port}/team/shop.git`),
      port: Number(port),
      addresses: ['127.0.0.1'],
    };
    expect(await given.fetchFrom(place)).toBe(given.commit);
  });

  test('without a login, or where it leads elsewhere, nothing is fetched, and what git said is told without the token', async () => {
    await using given = await world();
    await expect(given.fetch(given.forge.host, null)).rejects.toThrow(/main could not be fetched from/);
    given.forge.redirect = `http://${given.forge.host}/elsewhere/shop.git/info/refs`;
    given.forge.asked.length = 0;
    const error: Error = await given.fetch().then(
      () => new Error('it was fetched'),
      (why: Error) => why,
    );
    expect(error.message).toMatch(/302/);
    expect(error.message).not.toContain(LOGIN.token);
    expect(given.forge.asked.filter(path => path.includes('elsewhere'))).toEqual([]);
  });
});

describe('findPlace()', () => {
  test.each([
    ['http://127.0.0.1/team/shop', /plain HTTP/],
    ['https://127.0.0.1/team/shop', /no public address/],
    ['https://2130706433/team/shop', /no public address/],
    ['https://[::ffff:127.0.0.1]/team/shop', /no public address/],
    ['https://169.254.169.254/latest/meta-data', /no public address/],
    ['https://localhost/team/shop', /no public address/],
    ['https://10.1.2.3/team/shop', /CUPOLA_GIT_HOSTS=10\.1\.2\.3|no public address/],
  ])('%s is not asked', async (url, words) => {
    await expect(findPlace(url, tenantsPolicy([]))).rejects.toThrow(words);
  });

  test('nor is anything asked of a forge that is not listed', async () => {
    await using given = await world(() => []);
    await expect(given.fetch()).rejects.toThrow(/plain HTTP/);
    expect(given.forge.asked).toEqual([]);
  });

  test('hosts that the operator lists are', async () => {
    const policy = tenantsPolicy(['git.internal:3000', '127.0.0.1']);
    expect(await findPlace('https://127.0.0.1/team/shop', policy)).toMatchObject({
      port: 443,
      addresses: ['127.0.0.1'],
    });
  });
});

describe('statusRequest()', () => {
  const status = {
    path: 'group/team/shop',
    commit: 'c0ffee',
    token: 't',
    app: 'shop',
    state: 'success',
    url: 'http://shop.example.com',
  } as const;
  test.each([
    ['github', 'https://github.com', 'https://api.github.com/repos/group/team/shop/statuses/c0ffee', 'success'],
    [
      'github',
      'https://git.example.com',
      'https://git.example.com/api/v3/repos/group/team/shop/statuses/c0ffee',
      'success',
    ],
    [
      'gitlab',
      'https://gitlab.com',
      'https://gitlab.com/api/v4/projects/group%2Fteam%2Fshop/statuses/c0ffee',
      'success',
    ],
    ['gitea', 'https://codeberg.org', 'https://codeberg.org/api/v1/repos/group/team/shop/statuses/c0ffee', 'success'],
  ] as const)('of %s at %s asks %s', (forge, origin, url, state) => {
    expect(statusRequest(origin, { forge, ...status })).toMatchObject({ url, body: { state, target_url: status.url } });
  });

  test('sendStatus() sends it to the address that was judged', async () => {
    await using given = await world();
    const request = statusRequest(`http://${given.forge.host}`, { forge: 'gitea', ...status });
    await sendStatus(await findPlace(request.url, tenantsPolicy([`http://${given.forge.host}`])), request);
    expect(given.forge.statuses).toMatchObject([
      {
        path: '/api/v1/repos/group/team/shop/statuses/c0ffee',
        headers: { authorization: 'token t' },
        body: { context: 'cupola/shop' },
      },
    ]);
  });
});
