import { describe, expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../settings.ts';
import { screen } from './screen.ts';
import { readSelector, readSticky, stickyCookie } from './selection.ts';

describe('readSticky()', () => {
  test.each([
    ['JSESSIONID=1; __VCAP_ID__=copy-1', 'copy-1'],
    ['a=b;__VCAP_ID__=copy-1;JSESSIONID=1', 'copy-1'],
    ['__VCAP_ID__=copy-1', null],
    ['JSESSIONID=1', null],
    ['x__VCAP_ID__=copy-1; JSESSIONID=1', null],
    ['', null],
  ])('%s', (cookie, instance) => {
    expect(readSticky(cookie)).toBe(instance);
  });
});

describe('stickyCookie()', () => {
  test('follows a session that the app starts, for as long and as narrowly as that', () => {
    const cookie = stickyCookie(
      ['JSESSIONID=1; Path=/shop; Max-Age=60; Secure; SameSite=Strict; Domain=x'],
      null,
      'copy-1',
    );
    expect(cookie).toBe('__VCAP_ID__=copy-1; Path=/; HttpOnly; Max-Age=60; Secure; SameSite=Strict');
  });
  test('ends with the session', () => {
    expect(stickyCookie(['JSESSIONID=; Expires=Thu, 01 Jan 1970 00:00:00 GMT'], null, 'copy-1')).toContain(
      'Expires=Thu, 01 Jan 1970',
    );
  });
  test('moves a client whose copy is gone', () => {
    expect(stickyCookie([], 'copy-9', 'copy-1')).toBe('__VCAP_ID__=copy-1; Path=/; HttpOnly');
  });
  test('is silent otherwise', () => {
    expect(stickyCookie([], null, 'copy-1')).toBeNull();
    expect(stickyCookie([], 'copy-1', 'copy-1')).toBeNull();
    expect(stickyCookie(['JSESSIONID=1', '__VCAP_ID__=own'], null, 'copy-1')).toBeNull();
    expect(stickyCookie(['OTHER=1'], null, 'copy-1')).toBeNull();
  });
});

describe('readSelector()', () => {
  const read = (...headers: string[]) => {
    const screened = screen(
      { method: 'GET', url: '/', httpVersion: '1.1', rawHeaders: ['Host', 'a.b', ...headers] },
      DEFAULT_SETTINGS,
    );
    if ('refusal' in screened) throw new Error('refused');
    return readSelector(screened);
  };
  test.each(['app-1', 'app-1:', 'app-1:x', ':0', '', 'app 1:0', 'app-1:0:0', 'app-1:-1'])(
    'X-CF-App-Instance: %s is malformed',
    value => {
      expect(read('X-CF-App-Instance', value)).toMatchObject({
        refusal: { status: 400, routerError: 'invalid_cf_app_instance_header' },
      });
    },
  );
  test.each([':0', '', 'a b', 'p:x'])('X-CF-Process-Instance: %s is malformed', value => {
    expect(read('X-CF-Process-Instance', value)).toMatchObject({
      refusal: { status: 400, routerError: 'invalid_cf_process_instance_header' },
    });
  });
  test.each(['p', 'p:0'])('X-CF-Process-Instance: %s selects', value => {
    expect(read('X-CF-Process-Instance', value)).toMatchObject({ selector: expect.any(Function) });
  });
});
