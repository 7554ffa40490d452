/**
 * The API as this page reaches it: below `/dashboard/api`, where a cookie that no script sees stands for the token, and each change carries the session's
 * CSRF token.
 */
import { readErrors } from '@cupola/contract/v3/client-reads';

const API = '/dashboard/api';

/** A refusal, in the API's own words. `status` 0: nobody answered. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly title: string;
  constructor(status: number, message: string, title = '') {
    super(message);
    this.status = status;
    this.title = title;
  }
}

/** What a zod schema is to us. */
export interface Schema<T> {
  parse(value: unknown): T;
}
export interface Call {
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  json?: unknown;
  yaml?: string;
  body?: FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

let csrf = '';
/** Of the session that was read last. */
export function useCsrf(token: string): void {
  csrf = token;
}

let aheadMs = 0;
/** Now by the API's clock, as far as its answers tell to the second: this machine's may be wrong. */
export const nowThere = (): number => Date.now() + aheadMs;

/** Leaves this page for that of the sign-in; comes back to where one was. */
export function signInAgain(): void {
  location.assign(`/dashboard/sign-in?${new URLSearchParams({ to: `${location.pathname}${location.search}` })}`);
}

/** @param path of the API (`/v3/apps`), or a link that it gave. @throws ApiError */
export async function ask(
  path: string,
  { method = 'GET', json, yaml, body, headers, signal }: Call = {},
): Promise<Response> {
  const response = await fetchSafely(`${API}${pathOf(path)}`, {
    method,
    headers: {
      accept: 'application/json',
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(yaml === undefined ? {} : { 'content-type': 'application/x-yaml' }),
      ...(method === 'GET' ? {} : { 'x-csrf-token': csrf }),
      ...headers,
    },
    body: json === undefined ? (yaml ?? body ?? null) : JSON.stringify(json),
    signal: signal ?? null,
  });
  const date = Date.parse(response.headers.get('date') ?? '');
  if (!Number.isNaN(date)) aheadMs = date - Date.now();
  if (response.status === 401) {
    signInAgain();
    throw new ApiError(401, 'The session has ended. Sign in again.');
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Pauses before the second, third ... try of a read. */
const RETRY_PAUSES_MS = [50, 300, 1_000, 3_000];

/**
 * A read that nobody answers is tried again: Chromium gives up every request when a network of the machine comes or goes (ERR_NETWORK_CHANGED), and on the
 * platform's own machine one does with each instance. @throws ApiError
 */
export async function fetchSafely(url: string, init: RequestInit): Promise<Response> {
  for (let tried = 0; ; tried++) {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (init.signal?.aborted === true) throw error;
      const pauseMs = (init.method ?? 'GET') === 'GET' ? RETRY_PAUSES_MS[tried] : undefined;
      if (pauseMs === undefined) throw new ApiError(0, 'The API does not answer. Try again, or load this page anew.');
      await new Promise(resolve => setTimeout(resolve, pauseMs));
    }
  }
}

export interface Upload {
  body: FormData;
  signal: AbortSignal;
  progress(sentBytes: number, totalBytes: number): void;
}

/** A POST whose progress is told, which `fetch` does not. @throws ApiError */
export function upload(path: string, { body, signal, progress }: Upload): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = (): void => request.abort();
    const end = (error: unknown): void => {
      signal.removeEventListener('abort', stop);
      if (error === null) resolve();
      else reject(error);
    };
    request.open('POST', `${API}${path}`);
    request.setRequestHeader('accept', 'application/json');
    request.setRequestHeader('x-csrf-token', csrf);
    request.upload.addEventListener('progress', ({ loaded, total }) => progress(loaded, total));
    request.addEventListener('abort', () => end(signal.reason));
    request.addEventListener('error', () => end(new ApiError(0, 'The API does not answer. Push again.')));
    request.addEventListener('load', () => {
      if (request.status < 300) end(null);
      else void refusal(new Response(request.responseText, { status: request.status })).then(end);
    });
    signal.addEventListener('abort', stop, { once: true });
    request.send(body);
  });
}

async function refusal(response: Response): Promise<ApiError> {
  const read = readErrors.safeParse(await response.json().catch(() => null));
  const [first] = read.data?.errors ?? [];
  if (first === undefined)
    return new ApiError(response.status, `The API answered ${response.status}, and nothing more.`);
  const details = read.data?.errors.map(({ detail }) => detail).join(' ') ?? '';
  return new ApiError(response.status, details, first.title.replace(/^CF-/, ''));
}

export async function read<T>(schema: Schema<T>, path: string, call: Call = {}): Promise<T> {
  return schema.parse(await (await ask(path, call)).json());
}

/** Links name the API as it names itself; this page may have been opened under another of its names. */
function pathOf(path: string): string {
  if (path.startsWith('/')) return path;
  const { pathname, search } = new URL(path);
  return `${pathname}${search}`;
}

/** A path with a query, its empty values left out. */
export function withQuery(path: string, query: Record<string, string | null | undefined>): string {
  const given = Object.entries(query).filter(
    (pair): pair is [string, string] => pair[1] !== null && pair[1] !== undefined,
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
