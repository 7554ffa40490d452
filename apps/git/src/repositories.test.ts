import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratch } from './fixtures.ts';
import { ended } from './git-process.ts';
import { endLeftProcesses } from './left-processes.ts';
import { fetchedForPreview, openRepositories } from './repositories.ts';

const APP = 'aaaaaaaa-0000-4000-8000-000000000000';

test('openRepositories() removes locks, and refs of previews, that a killed part has left', async () => {
  using given = scratch();
  const path = await openRepositories(given.git, given.folder).open(APP);
  mkdirSync(join(path, 'refs', 'cupola'), { recursive: true });
  const left = ['shallow.lock', 'packed-refs.lock', 'refs/cupola/fetched.lock', fetchedForPreview(APP)];
  for (const name of [...left, 'refs/cupola/fetched']) writeFileSync(join(path, name), '');
  openRepositories(given.git, given.folder);
  expect(left.filter(name => existsSync(join(path, name)))).toEqual([]);
  expect(existsSync(join(path, 'refs/cupola/fetched'))).toBe(true);
});

test('endLeftProcesses() ends what git a former part has started, and nobody else', async () => {
  using given = scratch();
  using other = scratch();
  const [left, others] = [given, other].map(({ git, repository }) =>
    git.start([`--git-dir=${repository}`, 'cat-file', '--batch-check']),
  ) as [ReturnType<typeof given.git.start>, ReturnType<typeof given.git.start>];
  const over = [ended(left), ended(others)];
  await endLeftProcesses(given.git);
  expect(await over[0]).toBe(-1);
  expect(others.exitCode).toBe(null);
  // It still answers, and ends by itself.
  others.stdin.end();
  expect(await over[1]).toBe(0);
});
