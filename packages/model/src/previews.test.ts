import { describe, expect, test } from 'vitest';
import { isFetchedRef, previewManifest, previewNames, pullSource } from './previews.ts';

describe('previewNames()', () => {
  test('is the app and the branch, and another one for where that is taken', () =>
    expect(previewNames('shop', 'fix')).toEqual(['shop-fix', expect.stringMatching(/^shop-fix-[a-z0-9]{7}$/)]));
  test.each([
    ['shop', 'feature/Login_2', /^shop-feature-login-2-[a-z0-9]{7}$/],
    ['My Shop', 'fix', /^my-shop-fix-[a-z0-9]{7}$/],
    ['☂', '_', /^app-[a-z0-9]{7}$/],
    ['shop', 'x'.repeat(100), /^shop-x{50}-[a-z0-9]{7}$/],
  ])('%s, %s has one that is a label, with a hash', (app, branch, wanted) =>
    expect(previewNames(app, branch)).toEqual([expect.stringMatching(wanted)]),
  );
  test('of a pull request has another hash than a branch of the same words', () => {
    const [pull, branch] = [previewNames('shop', pullSource(12)), previewNames('shop', 'pr-12')];
    expect(pull[0]).toBe('shop-pr-12');
    expect(branch[0]).toBe('shop-pr-12');
    expect(pull[1]).not.toBe(branch[1]);
  });
});

describe('isFetchedRef()', () => {
  test.each(['refs/heads/fix/a', 'refs/pull/12/head', 'refs/merge-requests/3/head'])('takes %s', ref =>
    expect(isFetchedRef(ref)).toBe(true),
  );
  test.each(['main', '--upload-pack=id', 'refs/heads/-x', 'refs/pull/x/head', 'refs/heads/a b', 'refs/heads/a\n'])(
    'refuses %j',
    ref => expect(isFetchedRef(ref)).toBe(false),
  );
});

describe('previewManifest()', () => {
  const entry = {
    name: 'shop',
    memory: '256M',
    instances: 4,
    routes: [{ route: 'shop.example.com' }],
    services: ['orders-db'],
    env: { A: 'b' },
    docker: { image: 'x' },
    metadata: { labels: { team: 'shop' } },
    random_route: true,
    processes: [{ type: 'web', instances: 3, memory: '1G', command: 'x' }],
    sidecars: [{ name: 's', process_types: ['web'], command: 'y', memory: '64M' }],
    volumes: ['data'],
  };
  test('keeps how it is built and run, neither routes, services, instances nor what it does not know', () =>
    expect(previewManifest(entry, { isFork: false })).toEqual({
      name: 'shop',
      memory: '256M',
      env: { A: 'b' },
      docker: { image: 'x' },
      metadata: { labels: { team: 'shop' } },
      processes: [{ type: 'web', memory: '1G', command: 'x' }],
      sidecars: [{ name: 's', process_types: ['web'], command: 'y', memory: '64M' }],
    }));
  test('gives a fork no size of its own choice, no image and no labels', () =>
    expect(previewManifest(entry, { isFork: true })).toEqual({
      name: 'shop',
      env: { A: 'b' },
      processes: [{ type: 'web', command: 'x' }],
      sidecars: [{ name: 's', process_types: ['web'], command: 'y' }],
    }));
});
