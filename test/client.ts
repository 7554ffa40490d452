/** What a client does with a platform, in whichever form it stands: our CLI, requests to apps through the router, calls of the API as admin. */
import http from 'node:http';
import { join } from 'node:path';
import { type Answer, type Platform, ROOT, run } from './platform.ts';

type Client = Pick<Platform, 'cupola' | 'password' | 'login' | 'ask' | 'api' | 'token' | 'upload'> & {
  /** The token: another platform may stand there now. */
  forget(): void;
};

interface Options {
  /** Of the CLI. */
  home: string;
  places(): { api: string; port: number; apiPort: number };
  password(): string;
}

export function createClient({ home, places, password }: Options): Client {
  let token: string | null = null;

  const cupola: Platform['cupola'] = (argv, { cwd = ROOT, env = {} } = {}) =>
    run(join(ROOT, 'cupola'), argv, {
      cwd,
      env: { ...process.env, CUPOLA_HOME: home, ...env },
      maxBuffer: 64 * 1024 * 1024,
    });
  const newToken = async (user = { username: 'admin', password: password() }): Promise<string> => {
    const answer = await request({
      port: places().apiPort,
      host: 'localhost',
      path: '/oauth/token',
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from('cf:').toString('base64')}`,
      },
      body: new URLSearchParams({ grant_type: 'password', ...user }).toString(),
    });
    if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.body}`);
    return (JSON.parse(answer.body) as { access_token: string }).access_token;
  };

  return {
    cupola,
    password,
    login: async () => {
      await cupola(['login', '-a', places().api, '-u', 'admin', '-o', 'cupola', '-s', 'dev'], {
        env: { CUPOLA_PASSWORD: password() },
      });
    },
    ask: (host, path = '/', { method = 'GET', body, headers = {} } = {}) =>
      request({ port: places().port, host, path, method, headers, body }),
    api: async (method, path, body) => {
      const send = async (): Promise<Answer> => {
        token ??= await newToken();
        return request({
          port: places().apiPort,
          host: 'localhost',
          path,
          method,
          headers: { authorization: `bearer ${token}`, 'content-type': 'application/json' },
          body: body === undefined ? undefined : JSON.stringify(body),
        });
      };
      let answer = await send();
      if (answer.status === 401) {
        // Tokens live for ten minutes.
        token = null;
        answer = await send();
      }
      return {
        status: answer.status,
        headers: answer.headers,
        body: answer.body === '' ? null : (JSON.parse(answer.body) as unknown),
      };
    },
    token: newToken,
    upload: async (path, zip) => {
      token ??= await newToken();
      const form = new FormData();
      form.append('bits', new Blob([new Uint8Array(zip)]), 'bits.zip');
      const answer = await fetch(`http://127.0.0.1:${places().apiPort}${path}`, {
        method: 'POST',
        headers: { authorization: `bearer ${token}` },
        body: form,
      });
      return { status: answer.status, headers: {}, body: await answer.text() };
    },
    forget: () => {
      token = null;
    },
  };
}

/** Longer than any request is held; a test that waits for more says what it waits for, instead of hanging. */
const SILENCE_MS = 60_000;

function request(options: {
  port: number;
  host: string;
  path: string;
  method: string;
  headers: Record<string, string>;
  body?: string | undefined;
}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port, host, path, method, headers, body } = options;
    const sent = http.request(
      { host: '127.0.0.1', port, path, method, headers: { host, ...headers }, agent: false },
      response => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
        response.on('error', reject);
      },
    );
    sent.setTimeout(SILENCE_MS, () => sent.destroy(new Error(`nothing was heard for ${SILENCE_MS} ms`)));
    sent.on('error', reject);
    sent.end(body);
  });
}
