import { expect, test } from 'vitest';
import { systemBuildpack } from './system-buildpacks.ts';

test('systemBuildpack() knows its own by name and by the address that manifests use', () => {
  expect(systemBuildpack('go_buildpack')).toBe('go_buildpack');
  expect(systemBuildpack('https://github.com/cloudfoundry/python-buildpack')).toBe('python_buildpack');
  expect(systemBuildpack('https://github.com/cloudfoundry/nodejs-buildpack.git#v1.8.1')).toBe('nodejs_buildpack');
});

test('systemBuildpack() takes nobody else for its own', () => {
  const others = ['go', 'https://github.com/someone/go-buildpack', 'https://github.com/cloudfoundry/cobol-buildpack'];
  expect(others.map(systemBuildpack)).toEqual([null, null, null]);
});
