import { cpSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { makeSshKey } from '@cupola/certificates/ssh-key';
import { tenantsPolicy } from '@cupola/images/registry/policy';
import { expect, test } from 'vitest';
import { scratch } from '../fixtures.ts';
import { runGit } from '../git-process.ts';
import { openRepositories } from '../repositories.ts';
import { fetchBranch } from './fetch-branch.ts';
import { findPlace } from './place.ts';
import { startSshForge } from './ssh-forge-fixture.ts';

/** A forge over SSH with one repository, and an empty one that fetches from it. */
async function world() {
  const given = scratch();
  const root = join(given.folder, 'forge');
  const commit = given.commit([{ path: 'server.js', content: 'x' }]);
  for (const name of ['team', '~ada']) mkdirSync(join(root, name), { recursive: true });
  await runGit(given.git, [`--git-dir=${given.repository}`, 'update-ref', 'refs/heads/main', commit]);
  renameSync(given.repository, join(root, 'team', 'shop.git'));
  cpSync(join(root, 'team', 'shop.git'), join(root, '~ada', 'shop.git'), { recursive: true });
  const repositories = openRepositories(given.git, given.folder);
  const forge = await startSshForge(given.git, root);
  const pinned: string[] = [];
  const folder = join(given.folder, 'part');
  return {
    ...{ forge, commit, pinned, folder },
    fetch: async (known_hosts: string | null, key = forge.privateKey, path = 'team/shop.git') =>
      fetchBranch(
        { git: given.git, repositories },
        {
          ...{ appGuid: 'aaaaaaaa-0000-4000-8000-000000000000', ref: 'refs/heads/main', isKept: true, login: null },
          place: await findPlace(`ssh://git@${forge.host}/${path}`, tenantsPolicy([forge.host])),
          ssh: { key: { private: key, known_hosts }, folder, pin: line => pinned.push(line) },
          signal: new AbortController().signal,
        },
      ),
    [Symbol.asyncDispose]: async () => {
      await forge[Symbol.asyncDispose]();
      given[Symbol.dispose]();
    },
  };
}

test('a fetch over SSH is by the key of the webhook; the host is known again by what it has shown first', async () => {
  await using given = await world();
  expect(await given.fetch(null)).toBe(given.commit);
  expect(given.forge.asked).toEqual(["git-upload-pack '/team/shop.git'"]);
  expect(given.pinned).toHaveLength(1);
  expect(given.pinned[0]?.startsWith(`[127.0.0.1]:${given.forge.host.split(':')[1]} ssh-ed25519 `)).toBe(true);
  expect(await given.fetch(given.pinned[0] ?? '')).toBe(given.commit);
  expect(given.pinned).toHaveLength(1);
  expect(readdirSync(given.folder).filter(name => name.startsWith('ssh-'))).toEqual([]);
});

test("a repository in somebody's home is fetched", async () => {
  await using given = await world();
  expect(await given.fetch(null, given.forge.privateKey, '~ada/shop.git')).toBe(given.commit);
  expect(given.forge.asked).toEqual(["git-upload-pack '~ada/shop.git'"]);
});

test('a host with another key is asked for nothing', async () => {
  await using given = await world();
  const { line: other } = makeSshKey('other');
  await expect(given.fetch(`127.0.0.1 ${other}`)).rejects.toMatchObject({
    message: expect.stringContaining('shows another key than the one that it is known by'),
  });
  expect(given.forge.asked).toEqual([]);
});

test('a key that the forge does not take, and a repository that is not there, are said in so many words', async () => {
  await using given = await world();
  const { private: other } = makeSshKey('other');
  await expect(given.fetch(null, other)).rejects.toMatchObject({
    message: expect.stringContaining('does not take the deploy key'),
    next: expect.stringContaining('cupola git:webhook APP'),
  });
  await expect(given.fetch(null, given.forge.privateKey, 'team/none.git')).rejects.toThrow(/main could not be fetched/);
});

test('hosts in private networks are not asked over SSH either', async () => {
  await expect(findPlace('ssh://git@127.0.0.1/team/shop', tenantsPolicy([]))).rejects.toThrow(/no public address/);
  await expect(findPlace('ssh://git@2130706433/team/shop', tenantsPolicy([]))).rejects.toThrow(
    /no public address|no host/,
  );
});
