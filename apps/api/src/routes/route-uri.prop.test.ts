import fc from 'fast-check';
import { expect, test } from 'vitest';
import { candidates, parseRouteUri } from './route-uri.ts';

const label = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,20}$/);
const path = fc.oneof(fc.constant(''), fc.stringMatching(/^\/[a-z0-9][a-z0-9/._-]{0,20}$/));
const port = fc.option(fc.integer({ min: 1, max: 65_535 }));

test('parseRouteUri() finds name, port and path again, with or without a scheme', () => {
  fc.assert(
    fc.property(
      fc.array(label, { minLength: 1, maxLength: 4 }),
      port,
      path,
      fc.constantFrom('', 'http://', 'https://'),
      (labels, at, tail, scheme) => {
        const name = labels.join('.');
        const text = `${scheme}${name}${at === null ? '' : `:${at}`}${tail}`;
        expect(parseRouteUri(text)).toEqual({ name, port: at, path: tail });
      },
    ),
  );
});

test('candidates() put together give the name again', () => {
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), labels => {
      const name = labels.join('.');
      for (const { host, domain } of candidates({ name, path: '', port: null }))
        expect(host === '' ? domain : `${host}.${domain}`).toBe(name);
    }),
  );
});

test('parseRouteUri() never throws, and what it takes has no blank in it', () => {
  fc.assert(
    fc.property(fc.string(), text => {
      const uri = parseRouteUri(text);
      expect(uri === null || !/\s/.test(uri.name + uri.path)).toBe(true);
    }),
  );
});

test.each([
  '',
  ' ',
  'a b.example',
  'ftp://a.example',
  'a.example?x=1',
  'a.example#x',
  '-://',
  '/only-a-path',
  'a..b',
  'a.example:0',
  'a.example:70000',
  'x@y.example',
])('parseRouteUri() refuses %j', text => {
  expect(parseRouteUri(text)).toBeNull();
});

test('parseRouteUri() takes hosts without case, and a lone slash for no path', () => {
  expect(parseRouteUri('Hello.Example.COM/')).toEqual({ name: 'hello.example.com', path: '', port: null });
});

test('candidates() of a wildcard are its host and its domain alone', () => {
  expect(candidates({ name: '*.example.com', path: '', port: null })).toEqual([{ host: '*', domain: 'example.com' }]);
});
