import { expect, test } from 'vitest';
import { readCredentials } from './credentials.ts';

test('readCredentials() takes lines, of which the value may have an equals sign', () => {
  const typed = 'uri = postgres://u:p@db/x?a=b\n\npassword=s3cret\n';
  expect(readCredentials(typed)).toEqual({
    credentials: { uri: 'postgres://u:p@db/x?a=b', password: 's3cret' },
    why: null,
  });
});

test('readCredentials() takes a JSON object, and says what is wrong with half of one', () => {
  expect(readCredentials('{"port":5432}').credentials).toEqual({ port: 5_432 });
  expect(readCredentials('{"port"').why).toContain('JSON');
  expect(readCredentials('just text').why).toContain('name=value');
  expect(readCredentials('')).toEqual({ credentials: {}, why: null });
});
