import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { imageUser } from './image-user.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'cupola-users-'));
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc/users'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/srv:/bin/sh\n');
  symlinkSync('/etc/users', join(root, 'etc/passwd'));
  writeFileSync(join(root, 'etc/group'), 'staff:x:50:\n');
});
afterAll(() => rmSync(root, { recursive: true }));

test.each([
  ['', { uid: 0, gid: 0, name: 'root', home: '/root' }],
  ['web', { uid: 101, gid: 102, name: 'web', home: '/srv' }],
  ['101', { uid: 101, gid: 102, name: 'web', home: '/srv' }],
  ['web:staff', { uid: 101, gid: 50, name: 'web', home: '/srv' }],
  ['5000', { uid: 5000, gid: 0, name: null, home: '/' }],
  ['5000:6000', { uid: 5000, gid: 6000, name: null, home: '/' }],
])('imageUser(%s)', (text, user) => {
  expect(imageUser(root, text)).toEqual(user);
});

test.each([
  ['nobody', /no user "nobody"/],
  ['web:none', /no group "none"/],
  ['4294967295', /no user or group id/],
])('imageUser(%s) is refused', (text, words) => {
  expect(() => imageUser(root, text)).toThrow(words);
});

test('imageUser() of a root without lists knows numbers', () => {
  expect(imageUser(join(root, 'etc'), '7')).toEqual({ uid: 7, gid: 0, name: null, home: '/' });
});
