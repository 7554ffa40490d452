import { expect, test } from 'vitest';
import { changesBetween, type RevisionContent } from './revision-diff.ts';

const content = (given: Partial<RevisionContent['revision']> = {}, variables: RevisionContent['variables'] = {}) => ({
  revision: { droplet: { guid: 'droplet-1' }, processes: { web: { command: null } }, sidecars: [], ...given },
  variables,
});

test('two revisions of the same content differ in nothing', () => {
  expect(changesBetween(content({}, { A: '1' }), content({}, { A: '1' }))).toEqual([]);
});

test('code, commands, sidecars and variables are named, values of variables are not shown', () => {
  const now = content({ processes: { web: { command: 'node a' } } }, { KEPT: 'k', TOKEN: 'geheim', OLD: 'x' });
  const wanted = content(
    { droplet: { guid: 'other-droplet' }, sidecars: [{ name: 'proxy', command: './proxy' }] },
    { KEPT: 'k', TOKEN: 'neu', NEW: 'y' },
  );
  const changes = changesBetween(now, wanted);
  expect(changes).toEqual([
    { how: 'changed', what: 'the code', from: 'droplet droplet-', to: 'droplet other-dr' },
    { how: 'removed', what: 'the command of web', from: 'node a', to: null },
    { how: 'added', what: 'the sidecar proxy', from: null, to: './proxy' },
    { how: 'added', what: 'NEW', from: null, to: null },
    { how: 'removed', what: 'OLD', from: null, to: null },
    { how: 'changed', what: 'TOKEN', from: null, to: null },
  ]);
});

test('who may not see variables is told of the rest', () => {
  expect(changesBetween(content({}, null), content({}, { A: '1' }))).toEqual([]);
});

test('a variable of any name is one', () => {
  const odd = JSON.parse('{"__proto__":"1"}') as Record<string, string>;
  expect(changesBetween(content({}, {}), content({}, odd))).toMatchObject([{ how: 'added', what: '__proto__' }]);
});
