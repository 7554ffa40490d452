import type { StreamFrame } from '@cupola/contract/v3/stream';
import { expect, test } from 'vitest';
import { createWatchText } from './watch-text.ts';

type Changed = Extract<StreamFrame, { type: 'changed' }>;
const frame = (kind: Changed['kind'], object: Record<string, unknown>, given: Partial<Changed> = {}): Changed => ({
  type: 'changed',
  cursor: '1:e',
  kind,
  guid: `${kind}-1`,
  organization_guid: 'o',
  space_guid: 's',
  app_guid: 'app-1',
  object,
  ...given,
});
const instance = (given: Record<string, unknown>) => ({
  index: 0,
  state: 'RUNNING',
  since: null,
  routable: true,
  details: null,
  instance_guid: null,
  cell_id: null,
  crashes: 0,
  last_exit: null,
  ...given,
});
const instances = (...all: object[]) =>
  frame('instances', { process_guid: 'p', app_guid: 'app-1', type: 'web', instances: all });

test('linesOf() names apps, and says what a state has become once', () => {
  const text = createWatchText();
  text.know('app-1', 'dora');
  const build = frame('build', { state: 'STAGING', error: null });
  expect(text.linesOf(build)).toEqual([['dora', 'build', 'STAGING']]);
  expect(text.linesOf(build)).toEqual([]);
  expect(text.linesOf(frame('build', { state: 'FAILED', error: 'NoAppDetectedError' }))).toEqual([
    ['dora', 'build', 'FAILED: NoAppDetectedError'],
  ]);
});

test('linesOf() says of instances which one has changed, and why', () => {
  const text = createWatchText();
  text.know('app-1', 'dora');
  text.linesOf(instances(instance({}), instance({ index: 1, state: 'STARTING' })));
  const crashed = instance({ index: 1, state: 'CRASHED', details: 'exited with 1\u001b]0;x' });
  expect(text.linesOf(instances(instance({}), crashed))).toEqual([['dora', 'web/1', 'CRASHED: exited with 1]0;x']]);
});

test('linesOf() knows a new app by its frame, and that it is gone', () => {
  const text = createWatchText();
  const app = frame('app', { name: 'nora', state: 'STARTED' }, { guid: 'app-2', app_guid: 'app-2' });
  expect(text.linesOf(app)).toEqual([['nora', 'app', 'STARTED']]);
  const route = { url: 'nora.localhost', destinations: [{ app: { guid: 'app-2' } }] };
  expect(text.linesOf(frame('route', route))).toEqual([['nora', 'route', 'nora.localhost']]);
  const gone: StreamFrame = { ...app, type: 'gone' };
  expect(text.linesOf(gone)).toEqual([['nora', 'app', 'deleted']]);
});
