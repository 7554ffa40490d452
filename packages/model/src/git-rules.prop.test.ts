import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deployedBranch, isBranchName, planPush } from './git-rules.ts';

const name = fc.constantFrom('main', 'master', 'a', 'b/c', 'live');
const commit = fc.constantFrom(null, 'a'.repeat(40), 'b'.repeat(40));
const update = fc.record({
  ref: fc.oneof(
    name.map(one => `refs/heads/${one}`),
    name.map(one => `refs/tags/${one}`),
    fc.constant('refs/notes/x'),
  ),
  before: commit,
  after: commit,
});

test('planPush() deploys the configured branch or nothing, never what is removed, nor as a preview, and nothing of a push that it refuses', () => {
  fc.assert(
    fc.property(fc.option(name), fc.boolean(), fc.array(update, { maxLength: 5 }), (set, hasPreviews, updates) => {
      const branch = deployedBranch({ branch: set }, updates);
      const { deploy, previews, ended, refusal } = planPush('shop', { branch, hasPreviews }, updates);
      if (set !== null) expect(branch).toBe(set);
      if (deploy !== null) expect(deploy).toMatchObject({ ref: `refs/heads/${branch}`, after: expect.any(String) });
      if (refusal !== null) expect([deploy, previews, ended]).toEqual([null, [], []]);
      if (!hasPreviews) expect(previews).toEqual([]);
      for (const { ref } of previews) expect(ref).not.toBe(`refs/heads/${branch}`);
      expect(ended).not.toContain(branch);
    }),
  );
});

test('isBranchName() takes no option, no empty part, nothing that a shell or a path could read otherwise', () => {
  fc.assert(
    fc.property(fc.string(), text => {
      if (!isBranchName(text)) return;
      expect(text).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._/-]*$/);
      expect(text.split('/')).not.toContain('');
      expect(text.split('/')).not.toContain('..');
    }),
  );
});
