import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readHost } from './route-key.ts';

test.each([
  ['app.localhost', 'app.localhost'],
  ['APP.LocalHost', 'app.localhost'],
  ['app.localhost:8080', 'app.localhost'],
  ['app.localhost:', 'app.localhost'],
  ['app.localhost.', 'app.localhost'],
  ['app.localhost.:8080', 'app.localhost'],
  ['localhost', 'localhost'],
  ['a_b.example.com', 'a_b.example.com'],
  ['1.2.3.example', '1.2.3.example'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
])('readHost(%s) is %s', (header, host) => {
  expect(readHost(header)).toEqual({ host });
});

test.each(['', ':80', '.', '10.0.0.1', '10.0.0.1:80', '[::1]', '[::1]:80', '1', '0x7f', '127.1', 'app.0x7f'])(
  'readHost(%s) is no host to look up',
  header => {
    expect(readHost(header)).toEqual({ refused: 'empty' });
  },
);

test.each([
  'a b',
  'a..b',
  '.a',
  'a..',
  'a:b',
  'a:1:2',
  'x@a',
  'a/b',
  '[a',
  'ä.example',
  '*.example',
  'a,b',
  `${'a.'.repeat(130)}b`,
])('readHost(%s) is malformed', header => {
  expect(readHost(header)).toEqual({ refused: 'malformed' });
});

test('readHost() gives the same for a host however it is written', () => {
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,10}(\.[a-z][a-z0-9-]{0,10}){1,3}$/);
  fc.assert(
    fc.property(name, fc.boolean(), fc.boolean(), fc.option(fc.nat(65_535)), (host, upper, dot, port) => {
      const written = `${upper ? host.toUpperCase() : host}${dot ? '.' : ''}${port === null ? '' : `:${port}`}`;
      expect(readHost(written)).toEqual(readHost(host));
    }),
  );
});
