/**
 * Which copy a request asks for: by header (`X-CF-App-Instance: APPGUID:INDEX`, `X-CF-Process-Instance: PROCESSGUID[:INDEX]`), which binds, or by the
 * sticky cookie `__VCAP_ID__`, which gives way when that copy is gone (CF: gorouter, cookie beside JSESSIONID).
 */
import type { Backend } from '../table/route-table.ts';
import { type Answer, answers } from './answers.ts';
import type { ScreenedRequest } from './screen.ts';

const STICKY_COOKIE = '__VCAP_ID__';
const SESSION_COOKIE = 'JSESSIONID';

/** Null selects nothing: any copy will do. */
export type Selector = ((backend: Backend) => boolean) | null;

/** The binding choice of the headers; the process header counts before the app header. */
export function readSelector(request: ScreenedRequest): { readonly selector: Selector } | { readonly refusal: Answer } {
  const { appInstance, processInstance } = request;
  if (processInstance !== null) {
    const [, guid, index] = /^([\w-]{1,200})(?::(\d{1,6}))?$/.exec(processInstance) ?? [];
    if (guid === undefined) return { refusal: answers.invalidSelector('process') };
    return {
      selector: ({ destination, index: own }) =>
        destination.processGuid === guid && (index === undefined || own === Number(index)),
    };
  }
  if (appInstance !== null) {
    const [, guid, index] = /^([\w-]{1,200}):(\d{1,6})$/.exec(appInstance) ?? [];
    if (guid === undefined) return { refusal: answers.invalidSelector('app') };
    return { selector: ({ destination, index: own }) => destination.appGuid === guid && own === Number(index) };
  }
  return { selector: null };
}

/** The instance guid that the client's sticky cookie names; null unless a session cookie is there too. */
export function readSticky(cookie: string): string | null {
  if (!cookie.includes(STICKY_COOKIE)) return null;
  let instance: string | null = null;
  let hasSession = false;
  for (const pair of cookie.split(';')) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals).trim();
    if (name === SESSION_COOKIE) hasSession = true;
    else if (name === STICKY_COOKIE) instance = pair.slice(equals + 1).trim();
  }
  return hasSession ? instance : null;
}

/**
 * The Set-Cookie line that ties the client to `instanceGuid`: when the app starts a session in this answer, or when the copy that the client was tied to
 * has been replaced by this one. It lives as long as the session cookie. Null: nothing to set.
 */
export function stickyCookie(setCookies: readonly string[], asked: string | null, instanceGuid: string): string | null {
  if (setCookies.some(line => line.startsWith(`${STICKY_COOKIE}=`))) return null;
  const session = setCookies.find(line => line.startsWith(`${SESSION_COOKIE}=`));
  if (session === undefined && (asked === null || asked === instanceGuid)) return null;
  const kept = (session ?? '')
    .split(';')
    .slice(1)
    .map(attribute => attribute.trim())
    .filter(attribute => /^(?:expires=|max-age=|samesite=|secure$)/i.test(attribute));
  return [`${STICKY_COOKIE}=${instanceGuid}`, 'Path=/', 'HttpOnly', ...kept].join('; ');
}
