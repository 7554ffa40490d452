import { expect, test } from 'vitest';
import { changeProcess, makeService, mapRoute, rollBack, runTask, scaleApp, word } from './commands.ts';

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

test('mapRoute() names host and path where there are any', () => {
  const { cf } = mapRoute(app, { domain: 'example.com', host: 'shop', path: '/api' }, 'r');
  expect(cf).toBe("map-route 'my app' example.com --hostname shop --path /api");
  expect(mapRoute(app, { domain: 'example.com', host: '', path: '' }, null).cf).toBe("map-route 'my app' example.com");
});

test('runTask() quotes its command for a shell, and not for the API', () => {
  const { cf, cupola, api } = runTask(app, { command: 'npm run migrate', name: '', memoryMb: null });
  expect(cf).toBe("run-task 'my app' --command 'npm run migrate'");
  expect(cupola).toBe("run-task 'my app' 'npm run migrate'");
  expect(api.json).toEqual({ command: 'npm run migrate' });
});

test('makeService() shows no secret', () => {
  const service = { name: 'db', credentials: { uri: 'secret' } };
  expect(JSON.stringify(makeService('s', service))).not.toContain('secret');
  expect(makeService('s', service, { isShown: true }).api.json).toMatchObject({ credentials: { uri: 'secret' } });
});

test('changeProcess() leaves a command alone that nobody has typed, and sets back what is empty', () => {
  const given = { type: 'http', endpoint: '/up', timeout: null } as const;
  const process = { guid: 'p', type: 'web' };
  expect(changeProcess(app, process, { ...given, command: null }).api.json).toEqual({
    health_check: { type: 'http', data: { endpoint: '/up', timeout: null } },
  });
  expect(changeProcess(app, process, { ...given, command: '' }).api.json).toMatchObject({ command: null });
  expect(changeProcess(app, process, { ...given, command: null }).cf).toContain(' http --endpoint /up');
});
