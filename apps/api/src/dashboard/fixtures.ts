/** As much of a browser as a sign-in needs: it keeps cookies and follows no redirect by itself. */
import { ADMIN_PASSWORD, type Json, type TestApi } from '../fixtures.ts';

export interface TestBrowser {
  cookies: Map<string, string>;
  lastSetCookie: string;
  port: string;
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** The JSON of a GET. */
  json(path: string): Promise<Json>;
  /** Signs in up to the redirect that carries the code. @returns its path. */
  codeFor(username: string, password: string, to?: string): Promise<string>;
}

export function aBrowser({ url }: TestApi, { keepsSecure = true } = {}): TestBrowser {
  const cookies = new Map<string, string>();
  const browser: TestBrowser = {
    cookies,
    lastSetCookie: '',
    port: new URL(url).port,
    ask: async (path, init = {}) => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(`${url}${path}`, {
        ...init,
        redirect: 'manual',
        headers: { ...(init.headers as Record<string, string>), ...(cookie === '' ? {} : { cookie }) },
      });
      for (const header of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(header) ?? [];
        if (/; Secure/.test(header) && !keepsSecure) continue;
        browser.lastSetCookie = header;
        if (value === '') cookies.delete(name);
        else cookies.set(name, value);
      }
      return response;
    },
    json: async path => (await browser.ask(path)).json(),
    codeFor: async (username, password, to) => {
      const begun = await browser.ask(`/dashboard/sign-in${to === undefined ? '' : `?to=${encodeURIComponent(to)}`}`);
      const asked = new URL(begun.headers.get('location') ?? '', url);
      await browser.ask(`${asked.pathname}${asked.search}`);
      const body = new URLSearchParams({ ...Object.fromEntries(asked.searchParams), username, password });
      const answer = await browser.ask('/oauth/authorize', { method: 'POST', body });
      return answer.headers.get('location') ?? '';
    },
  };
  return browser;
}

/** The admin, unless named otherwise: all users of tests have the same password. */
export async function signedIn(
  api: TestApi,
  { username = 'admin', keepsSecure = true }: { username?: string; keepsSecure?: boolean } = {},
): Promise<TestBrowser> {
  const browser = aBrowser(api, { keepsSecure });
  await browser.ask(await browser.codeFor(username, ADMIN_PASSWORD));
  return browser;
}
