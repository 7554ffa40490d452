import { expect, test } from 'vitest';
import { stagingCause } from './staging-cause.ts';

const FAILED = '"npm ci" failed (exit status 1): its own words are in the log above.';

test.each([
  ['dependency-not-found', "npm error 404  'expres@^9' is not in this registry.\nnpm error code E404"],
  [
    'dependency-not-found',
    'ERROR: Could not find a version that satisfies the requirement flaskk\nERROR: No matching distribution found for flaskk',
  ],
  [
    'dependency-not-found',
    'go: module example.com/none: reading https://x: 404 Not Found\nmain.go:3:8: no required module provides package example.com/none',
  ],
  ['dependency-not-found', "Could not find gem 'sinatraa' in rubygems repository https://rubygems.org/"],
  ['dependency-not-found', '[ERROR] Could not find artifact com.example:none:jar:1 in central'],
  ['dependency-not-found', 'Root composer.json requires acme/none, it could not be found in any version'],
  ['dependencies-conflict', 'npm error code ERESOLVE\nnpm error ERESOLVE unable to resolve dependency tree'],
  ['dependencies-conflict', 'ERROR: ResolutionImpossible: for help visit https://pip.pypa.io'],
  [
    'lockfile-disagrees',
    'npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.',
  ],
  ['lockfile-disagrees', 'verifying module: missing go.sum entry for go.mod file'],
  ['registry-login', 'npm error code E401\nnpm error Incorrect or missing password.'],
  ['registry-unreachable', 'npm error code ENOTFOUND\nnpm error network request to https://x failed'],
  [
    'registry-unreachable',
    'file could not be downloaded: php_network_getaddresses: getaddrinfo for x failed: Name\n or',
  ],
  ['registry-unreachable', 'Exception in thread "main" java.net.UnknownHostException: x'],
  ['engine-version', 'Python 3.14 (by .python-version) is not on this machine, which has 3.11.'],
  ['engine-version', 'Go is not on this machine. As root: apt-get install golang-go; then push again.'],
  ['native-module', 'npm error gyp ERR! build error'],
  ['native-module', 'ERROR: Failed building wheel for lxml'],
  ['build-out-of-memory', 'FATAL ERROR: JavaScript heap out of memory'],
  ['build-disk-full', 'npm error ENOSPC: no space left on device, write'],
  ['build-failed', '> build\n> vite build\nerror during build: x is not exported by y'],
])('stagingCause() reads %s out of the output, with the line that shows it', (code, output) => {
  const lines = ['-----> Installing dependencies', ...output.split('\n')];
  const cause = stagingCause({ title: 'BuildpackCompileFailed', error: FAILED, lines });
  expect(cause.code).toBe(code);
  expect(output).toContain(cause.evidence);
});

test.each([
  [
    'no-buildpack-fits',
    'NoAppDetectedError',
    'An app was not successfully detected by any available buildpack. Push ...',
  ],
  ['unknown-buildpack', 'NoAppDetectedError', 'Buildpack "cobol_buildpack" is not installed here. There are: a, b.'],
  [
    'engine-version',
    'BuildpackCompileFailed',
    'There is no node 99.x for linux-x64 in the registry. Change "engines" in package.json.',
  ],
  [
    'engine-version',
    'BuildpackCompileFailed',
    '"engines" of package.json asks for Node.js "banana", which is no version or range.',
  ],
  ['build-too-slow', 'StagingTimeExpired', 'Staging took longer than 15 minutes and was stopped.'],
  ['build-out-of-memory', 'BuildpackCompileFailed', 'The build ran out of memory: its limit is 1024 MB.'],
  ['procfile-unreadable', 'BuildpackReleaseFailed', 'Failed to read command from Procfile: invalid YAML.'],
  ['upload-refused', 'AppBitsUploadInvalid', 'The archive was refused: entry "../x" leaves the folder.'],
  ['build-failed', 'StagingError', 'package.json cannot be read: no JSON. Mend it and push again.'],
])('stagingCause() reads %s out of %s and its sentence', (code, title, error) => {
  expect(stagingCause({ title, error, lines: ['-----> Node.js Buildpack'] }).code).toBe(code);
});

test('stagingCause() takes no warning for the cause', () => {
  const lines = [
    'npm warn EBADENGINE Unsupported engine {',
    'npm error code E404',
    'npm error 404 Not Found - GET https://x/none',
  ];
  expect(stagingCause({ title: 'BuildpackCompileFailed', error: FAILED, lines }).code).toBe('dependency-not-found');
});
