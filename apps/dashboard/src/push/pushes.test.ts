import { expect, test } from 'vitest';
import { createPushes } from './pushes.ts';

const settled = () => new Promise(resolve => setTimeout(resolve));

test('a push is told of until it is over, and of one that failed until somebody has read it', async () => {
  const pushes = createPushes(() => 7);
  const heard: (string | null)[] = [];
  pushes.subscribe(() => heard.push(pushes.of('app')?.phase ?? null));
  pushes.begin('app', async ({ say }) => say('stage', ''));
  await settled();
  expect(heard).toEqual(['upload', 'stage', null]);
  pushes.begin('app', async () => {
    throw new Error('no room');
  });
  await settled();
  expect(pushes.of('app')).toEqual({ phase: 'failed', says: 'no room', since: 7 });
  pushes.end('app');
  expect(pushes.of('app')).toBeNull();
});

test('end() aborts what is under way, which says nothing any more; so does the next push of that app', async () => {
  const pushes = createPushes(() => 7);
  const ended: string[] = [];
  const run =
    (name: string) =>
    ({ signal, say }: { signal: AbortSignal; say(phase: 'stage', says: string): void }): Promise<void> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          ended.push(name);
          say('stage', name);
          reject(signal.reason);
        });
      });
  pushes.begin('app', run('first'));
  pushes.begin('app', run('second'));
  pushes.end('app');
  await settled();
  expect([ended, pushes.of('app')]).toEqual([['first', 'second'], null]);
});
