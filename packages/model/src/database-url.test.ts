import fc from 'fast-check';
import { expect, test } from 'vitest';
import { databaseUrl } from './database-url.ts';

test.each([
  [['postgres://u:p@h:5432/d?sslmode=require'], 'postgres://u:p@h:5432/d?sslmode=require'],
  [['postgresql://h/d'], 'postgres://h/d'],
  [['mysql://h/d'], 'mysql2://h/d'],
  [['https://h', 'redis://h', 'mysql2://h/d', 'postgres://h/d'], 'mysql2://h/d'],
  [['not a uri', 7, null, undefined, { uri: 'postgres://h' }, 'postgres://h/d'], 'postgres://h/d'],
  [['postgres'], null],
  [[], null],
])('databaseUrl(%j) is %j', (uris, url) => {
  expect(databaseUrl(uris)).toBe(url);
});

test('databaseUrl() takes anything, and changes nothing but the scheme', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.anything(),
          fc.webUrl().map(url => url.replace(/^https?/, 'postgresql')),
        ),
      ),
      uris => {
        const url = databaseUrl(uris);
        if (url !== null) expect(uris).toContain(url.replace(/^postgres:/, 'postgresql:'));
      },
    ),
  );
});
