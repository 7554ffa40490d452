import { expect, test } from 'vitest';
import { gitBuildpack, systemBuildpack } from './system-buildpacks.ts';

test('systemBuildpack() knows its own by name and by the address that manifests use', () => {
  expect(systemBuildpack('go_buildpack')).toBe('go_buildpack');
  expect(systemBuildpack('https://github.com/cloudfoundry/python-buildpack')).toBe('python_buildpack');
  expect(systemBuildpack('https://github.com/cloudfoundry/nodejs-buildpack.git#v1.8.1')).toBe('nodejs_buildpack');
});

test('systemBuildpack() takes nobody else for its own', () => {
  const others = ['go', 'https://github.com/someone/go-buildpack', 'https://github.com/cloudfoundry/cobol-buildpack'];
  expect(others.map(systemBuildpack)).toEqual([null, null, null]);
});

test('gitBuildpack() reads the address of a public repository, with a branch or tag', () => {
  const url = 'https://git.example/team/my-buildpack.git';
  expect(gitBuildpack(url)).toEqual({ url, ref: null });
  expect(gitBuildpack(`${url}#v1.2/rc`)).toEqual({ url, ref: 'v1.2/rc' });
  expect(gitBuildpack('https://git.example:8443/x')).toMatchObject({ ref: null });
});

test.each([
  '-upload-pack=id',
  'ext::sh -c id',
  'file:///etc',
  'git@git.example:x/y',
  'ssh://git.example/x',
  'http://git.example/x',
  'https://user:secret@git.example/x',
  'https://git.example/../x',
  'https://git.example/-x',
  'https://git.example/x#--output=x',
  'https://git.example/x#a..b',
  'https://git.example/x#a#b',
  'https://git.example/x y',
  'https://git.example/$(id)',
  `https://git.example/${'x'.repeat(2000)}`,
])('gitBuildpack() is nothing for %s', asked => {
  expect(gitBuildpack(asked)).toBeNull();
});
