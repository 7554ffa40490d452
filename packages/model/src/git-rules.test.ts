import { describe, expect, test } from 'vitest';
import { deployedBranch, isBranchName, planPush, type RefUpdate } from './git-rules.ts';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const RULES = { branch: 'main', hasPreviews: false };
const pushed = (ref: string, { before = null, after = B }: Partial<RefUpdate> = {}): RefUpdate => ({
  ref,
  before,
  after,
});

describe('isBranchName()', () => {
  test.each(['main', 'release/2.1', 'feature/a_b-c', 'v1.x'])('takes %s', name =>
    expect(isBranchName(name)).toBe(true),
  );
  test.each([
    '',
    '-upload-pack=id',
    '--output=x',
    '/main',
    'main/',
    'a..b',
    'a//b',
    'a.lock',
    '.hidden',
    'a/.b',
    'a b',
    '$(id)',
    'x'.repeat(201),
  ])('refuses %j', name => expect(isBranchName(name)).toBe(false));
});

describe('deployedBranch()', () => {
  test('is the one that was set, whatever is pushed', () =>
    expect(deployedBranch({ branch: 'live' }, [pushed('refs/heads/main')])).toBe('live'));
  test('is main, or master, of a first push of several', () => {
    expect(deployedBranch({ branch: null }, [pushed('refs/heads/a'), pushed('refs/heads/main')])).toBe('main');
    expect(deployedBranch({ branch: null }, [pushed('refs/heads/a'), pushed('refs/heads/master')])).toBe('master');
  });
  test('is what the first push names first, where it has neither', () =>
    expect(deployedBranch({ branch: null }, [pushed('refs/heads/live'), pushed('refs/heads/a')])).toBe('live'));
  test('is not one that is removed, and no tag', () =>
    expect(
      deployedBranch({ branch: null }, [pushed('refs/heads/a', { after: null }), pushed('refs/tags/v1')]),
    ).toBeNull());
});

describe('planPush()', () => {
  test('deploys the branch, and keeps the others with a word each', () => {
    const main = pushed('refs/heads/main', { before: A });
    const plan = planPush('shop', RULES, [pushed('refs/heads/try'), main, pushed('refs/tags/v1')]);
    expect(plan).toMatchObject({ deploy: main, refusal: null });
    expect(plan.notes).toEqual([
      'try is kept here, and not deployed: shop deploys main. Deploy this one: git push REMOTE try:main, or always: cupola git:config shop --branch try',
      'Tag v1 is kept here; tags deploy nothing.',
    ]);
  });
  test('refuses to remove the branch that runs', () =>
    expect(planPush('shop', RULES, [pushed('refs/heads/main', { before: A, after: null })]).refusal).toMatch(
      /main is the branch that shop runs/,
    ));
  test('refuses refs that are neither branch nor tag', () =>
    expect(planPush('shop', RULES, [pushed('refs/for/main')]).refusal).toMatch(/neither a branch nor a tag/));
  test('with previews each other branch is one, and ends with its branch', () => {
    const fix = pushed('refs/heads/fix/login');
    const plan = planPush('shop', { branch: 'main', hasPreviews: true }, [
      fix,
      pushed('refs/heads/old', { before: A, after: null }),
      pushed('refs/heads/a#b'),
      pushed('refs/tags/v1'),
    ]);
    expect(plan).toMatchObject({ deploy: null, previews: [fix], ended: ['old'], refusal: null });
    expect(plan.notes).toEqual([
      'old is removed here.',
      expect.stringMatching(/^a#b is kept here, and has no preview/),
      'Tag v1 is kept here; tags deploy nothing.',
    ]);
  });
});
