import { expect, test } from 'vitest';
import { gitRemote } from './git-remote.ts';

test.each([
  ['https://github.com/team/shop.git', { url: 'https://github.com/team/shop.git', path: 'team/shop' }],
  [
    'https://GitLab.example.com:8443/group/team/shop/',
    { url: 'https://gitlab.example.com:8443/group/team/shop', path: 'group/team/shop' },
  ],
  ['http://2130706433/team/shop', { url: 'http://127.0.0.1/team/shop', path: 'team/shop' }],
  ['https://ada:secret@github.com/team/shop', null],
  ['ssh://git@GitHub.com:22/team/shop', { url: 'ssh://git@github.com/team/shop', path: 'team/shop' }],
  ['ssh://forge.example.com:2222/team/shop', { url: 'ssh://git@forge.example.com:2222/team/shop', path: 'team/shop' }],
  ['git@github.com:team/shop.git', { url: 'ssh://git@github.com/team/shop.git', path: 'team/shop' }],
  ['ssh://git:secret@github.com/team/shop', null],
  ['ssh://-oProxyCommand=id/team/shop', null],
  ['ssh://git@%2doProxyCommand=id/team/shop', null],
  ['-oProxyCommand=id@github.com:team/shop', null],
  ['git@github.com:/etc/passwd', null],
  ['ext::sh -c id', null],
  ['file:///etc/passwd', null],
  ['--upload-pack=id', null],
  ['https://github.com/team/--upload-pack=id', null],
  ['https://github.com/shop', null],
  ['https://github.com/team/shop?x=1', null],
])('gitRemote(%j) is %j', (text, remote) => {
  expect(gitRemote(text)).toEqual(remote);
});
