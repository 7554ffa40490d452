import { expect, test } from 'vitest';
import { askedPackages, chosenPackages, moduleName, webProgram } from './packages.ts';

test('moduleName() reads go.mod', () => {
  expect(moduleName('// a comment\nmodule example.com/team/shop/v2\n\ngo 1.22\n')).toBe('example.com/team/shop/v2');
  expect(moduleName('module "example.com/a"')).toBe('example.com/a');
  expect(moduleName('')).toBe('');
});

test('askedPackages() listens to the variable, then to the line of go.mod, and takes no options', () => {
  const goMod = 'module a\n// +heroku goVersion go1.22\n// +heroku install ./cmd/... ./tool\n';
  expect(askedPackages(goMod, {})).toEqual(['./cmd/...', './tool']);
  expect(askedPackages(goMod, { GO_INSTALL_PACKAGE_SPEC: './cmd/web -exec=evil' })).toEqual(['./cmd/web']);
  expect(askedPackages('module a\n', {})).toEqual([]);
});

test('chosenPackages() takes the program at the root alone, else all there are', () => {
  expect(chosenPackages(['example.com/a', 'example.com/a/cmd/tool'], 'example.com/a')).toEqual(['example.com/a']);
  expect(chosenPackages(['example.com/a/cmd/web', 'example.com/a/cmd/job'], 'example.com/a')).toHaveLength(2);
});

test('webProgram() is the only one, or the one with a name that says it', () => {
  expect(webProgram(['job'], 'example.com/a')).toBe('job');
  expect(webProgram(['job', 'shop', 'web'], 'example.com/shop/v2')).toBe('shop');
  expect(webProgram(['job', 'server'], 'example.com/a')).toBe('server');
  expect(webProgram(['job', 'cron'], 'example.com/a')).toBeNull();
});
