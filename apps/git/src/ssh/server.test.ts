import { expect, test } from 'vitest';
import { readCommand } from './server.ts';

test('readCommand() reads what git asks for, and a repository that it names', () => {
  expect(readCommand("git-receive-pack '/acme/dev/shop.git'")).toEqual({
    service: 'receive-pack',
    name: { organization: 'acme', space: 'dev', app: 'shop' },
  });
  expect(readCommand("git-upload-pack 'acme/my%20space/my shop'")).toEqual({
    service: 'upload-pack',
    name: { organization: 'acme', space: 'my space', app: 'my shop' },
  });
});

test.each([
  '',
  'id',
  "git-receive-pack '/acme/dev'",
  "git-receive-pack '/acme/dev/shop.git/more'",
  "git-receive-pack '/acme/dev/shop.git'; id",
  "git-receive-pack '/acme/dev/shop.git' --upload-pack=id",
  'git-receive-pack /acme/dev/shop.git',
  "git-upload-archive '/acme/dev/shop.git'",
  "git-shell -c 'git-receive-pack x/y/z'",
  "git-receive-pack '/acme/dev/sh\nop.git'",
])('readCommand() takes no %j', command => expect(readCommand(command)).toBeNull());
