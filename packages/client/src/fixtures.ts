/** A server that answers what a test tells it to, and remembers what it was asked. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TokenStore } from './cloud-client.ts';
import { type CloudClient, createCloudClient } from './cloud-client.ts';
import type { Tokens } from './login.ts';
import { createTransport } from './transport.ts';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  text?: string;
  /** Cuts the connection instead. */
  cut?: boolean;
  /** Waits before it answers, ms. */
  afterMs?: number;
}

export interface Server extends AsyncDisposable {
  readonly origin: string;
  readonly asked: Asked[];
}

/** `reply` gets each request and how many came before it. */
export async function serverThat(reply: (asked: Asked, before: number, origin: string) => Reply): Promise<Server> {
  const asked: Asked[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const one = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString('latin1'),
      };
      asked.push(one);
      const { status = 200, headers = {}, body, text, cut = false, afterMs = 0 } = reply(one, asked.length - 1, origin);
      const answer = (): void => {
        if (cut) return void request.socket.destroy();
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(text ?? (body === undefined ? '' : JSON.stringify(body)));
      };
      if (afterMs === 0) answer();
      else setTimeout(answer, afterMs);
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://api.localhost:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    asked,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A token that ends in so many seconds. */
export function jwt(seconds: number): string {
  return `x.${Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + seconds })).toString('base64url')}.x`;
}

export interface Memory extends TokenStore {
  tokens: Tokens | null;
}

/** Tokens in memory; one change at a time. */
export function inMemory(tokens: Tokens | null): Memory {
  let last: Promise<unknown> = Promise.resolve();
  const store: Memory = {
    tokens,
    load: () => store.tokens,
    update: change => {
      const mine = last.then(async () => {
        store.tokens = await change(store.tokens);
        return store.tokens;
      });
      last = mine.catch(() => undefined);
      return mine;
    },
  };
  return store;
}

export function clientOf(
  origin: string,
  tokens: TokenStore = inMemory({ access: jwt(600), refresh: 'r' }),
): CloudClient {
  return createCloudClient({
    transport: createTransport({ userAgent: 'test/1', skipSslValidation: false, proxyFromEnvironment: false }),
    endpoints: {
      api: origin,
      login: origin,
      uaa: origin,
      logCache: origin,
      apiVersion: '3.211.0',
      appsScheme: 'http',
      appsPort: null,
    },
    tokens,
    now: Date.now,
  });
}
