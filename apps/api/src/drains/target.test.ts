import { mayReach, networks } from '@cupola/images/registry/addresses';
import { expect, test } from 'vitest';
import { parseTarget, resolveTarget } from './target.ts';

test.each([
  ['syslog://logs.example:1514', { kind: 'tcp', host: 'logs.example', port: 1514 }],
  ['syslog://logs.example', { kind: 'tcp', host: 'logs.example', port: 514 }],
  ['syslog-tls://user:geheim@logs.example/path?token=x', { kind: 'tls', host: 'logs.example', port: 6514 }],
  ['syslog-udp://[2001:4860::1]:5514', { kind: 'udp', host: '2001:4860::1', port: 5514 }],
  [
    'https://logs.example/v1/input?token=x',
    { kind: 'https', host: 'logs.example', port: 443, path: '/v1/input?token=x', authorization: null },
  ],
  [
    'https-batch://user:pass%3Aword@logs.example:8443',
    { kind: 'https-batch', host: 'logs.example', port: 8443, path: '/', authorization: 'Basic dXNlcjpwYXNzOndvcmQ=' },
  ],
])('parseTarget(%s)', (url, target) => {
  expect(parseTarget(url)).toEqual(target);
});

test.each(['http://logs.example', 'https://', 'file:///etc/passwd', 'syslog://', 'nonsense'])(
  'parseTarget(%s) is none',
  url => {
    expect(parseTarget(url)).toBeNull();
  },
);

test.each([
  '127.0.0.1',
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '::',
  '::ffff:169.254.169.254',
  '::ffff:7f00:1',
  'fe80::1',
  'fd00::1',
  '64:ff9b::a9fe:a9fe',
  '2002:7f00:1::',
])('mayReach(%s) is false: it is not public', address => {
  expect(mayReach(address, networks([]))).toBe(false);
});

test.each(['8.8.8.8', '2606:4700::1111'])('mayReach(%s) is true', address => {
  expect(mayReach(address, networks([]))).toBe(true);
});

test('mayReach() lets the operator allow a network', () => {
  const allowed = networks(['10.0.5.0/24', '::1']);
  const answers = ['10.0.5.9', '10.0.6.9', '::ffff:10.0.5.9', '::1'].map(address => mayReach(address, allowed));
  expect(answers).toEqual([true, false, true, true]);
});

test.each(['127.0.0.1', '2130706433', '0x7f.1', 'localhost'])('resolveTarget(%s) leads nowhere', async host => {
  const asked = resolveTarget({ host }, networks([]));
  await expect(asked).rejects.toThrow(/has no public address/);
});

test('resolveTarget() of a name that is none says so', async () => {
  const asked = resolveTarget({ host: 'no-such-host.invalid' }, networks([]));
  await expect(asked).rejects.toThrow('its host no-such-host.invalid cannot be resolved');
});
