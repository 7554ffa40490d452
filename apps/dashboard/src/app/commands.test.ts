import { expect, test } from 'vitest';
import { rollBack, scaleApp, word } from './commands.ts';

const app = { guid: 'g', name: 'my app' };

test('word() quotes what a shell would read otherwise', () => {
  expect(word('my-app')).toBe('my-app');
  expect(word("a'; rm -rf /")).toBe("'a'\\''; rm -rf /'");
});

test('scaleApp() is the same in three forms', () => {
  const commands = scaleApp(app, { guid: 'p', type: 'worker' }, { instances: 2, memory_in_mb: 256 });
  expect(commands.cupola).toBe("scale 'my app' --process worker -i 2 -m 256M");
  expect(commands.cf).toBe("scale 'my app' --process worker -i 2 -m 256M -f");
  expect(commands.api).toEqual({
    method: 'POST',
    path: '/v3/processes/p/actions/scale',
    json: { instances: 2, memory_in_mb: 256 },
  });
});

test('rollBack() names the version to people and the guid to the API', () => {
  const { cf, api } = rollBack(app, { guid: 'r', version: 3 });
  expect(cf).toBe("rollback 'my app' --version 3");
  expect(api.json).toEqual({ revision: { guid: 'r' }, relationships: { app: { data: { guid: 'g' } } } });
});
