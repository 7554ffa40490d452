import { expect, test } from 'vitest';
import { type RevisionContent, revisionReasons } from './revisions.ts';

const aRevision = (given: Partial<RevisionContent> = {}): RevisionContent => ({
  dropletGuid: 'd1',
  environment: { A: '1', B: '2' },
  commands: { web: null, worker: 'work' },
  sidecars: [],
  ...given,
});

test('revisionReasons() has none where nothing differs, in whatever order it is written', () => {
  expect(revisionReasons(aRevision(), aRevision({ environment: { B: '2', A: '1' } }))).toEqual([]);
});

test.each([
  [{ dropletGuid: 'd2' }, ['New droplet deployed.']],
  [{ environment: { A: '1' } }, ['New environment variables deployed.']],
  [{ commands: { web: 'run', worker: 'work' } }, ["Custom start command added for 'web' process."]],
  [{ commands: { web: null, worker: null } }, ["Custom start command removed for 'worker' process."]],
  [{ commands: { web: null, worker: 'more' } }, ["Custom start command updated for 'worker' process."]],
  [{ commands: { web: null } }, ["Process type 'worker' removed."]],
  [{ commands: { web: null, worker: 'work', clock: null } }, ["New process type 'clock' added."]],
  [{ sidecars: [{ name: 's', command: 'c', processTypes: ['web'], memoryMb: null }] }, ['Sidecars updated.']],
  [{ dropletGuid: 'd2', environment: {} }, ['New droplet deployed.', 'New environment variables deployed.']],
] as const)('revisionReasons() says in CF’s words what is new: %j', (change, reasons) => {
  expect(revisionReasons(aRevision(), aRevision(change as Partial<RevisionContent>))).toEqual(reasons);
});
