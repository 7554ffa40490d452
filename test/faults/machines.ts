/**
 * The cluster that is broken: two APIs, two schedulers and the engines on this machine; two machines that run apps and route, and one that stages, each in a
 * network of its own whose cable can be pulled. What is killed is started again at once: programs as by an init system, parts by their supervisor.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ControlPlane, PASSWORD, startControlPlane } from '../cluster/control-plane.ts';
import { type Host, openNetwork } from '../hosts.ts';
import { until } from '../platform.ts';
import type { Asked } from '../push-steps.ts';

export interface Machines extends AsyncDisposable {
  plane: ControlPlane;
  /** They run apps and route. */
  cells: readonly [Host, Host];
  stager: Host;
  /** Joined already: it comes back as the machine that it was. */
  rejoin(host: Host): Promise<void>;
  /** As admin, through these routers by turns: another one when the last has failed. */
  client: Asked;
  through(routers: readonly string[]): void;
}

const PATIENCE_MS = 20_000;

/** @param isFollowed by a second PostgreSQL, which can take over. */
export async function startMachines({ isFollowed }: { isFollowed: boolean }): Promise<Machines> {
  await using starting = new AsyncDisposableStack();
  const work = mkdtempSync(join(tmpdir(), 'cupola-faults-'));
  starting.defer(() => rmSync(work, { recursive: true, force: true, maxRetries: 5 }));
  const network = starting.use(await openNetwork());
  const plane = starting.use(
    await startControlPlane({
      ...{ work, isFollowed, memberHost: network.address },
      ...{ appsPort: 8080, isKept: true, durable: true },
    }),
  );
  const cells: [Host, Host] = [await network.host(), await network.host()];
  const stager = await network.host();
  const flags = (host: Host): string[] =>
    host === stager ? [] : ['--listen', '0.0.0.0', '--port', '8080', '--https-port', '8443'];
  const joinAs = async (host: Host, roles: string): Promise<void> =>
    host.join(plane.addresses, await plane.token(roles), flags(host));
  await Promise.all([...cells.map(host => joinAs(host, 'agent,router')), joinAs(stager, 'stager')]);
  let routers: readonly string[] = cells.map(({ address }) => address);
  let turn = 0;
  let token: string | null = null;

  const send = async (method: string, path: string, headers: Record<string, string>, body?: string | Buffer) => {
    const address = routers[turn++ % routers.length] ?? '';
    return await request(address, { method, path, headers: { host: 'api.localhost', ...headers } }, body);
  };
  const login = async (): Promise<string> => {
    const form = new URLSearchParams({ grant_type: 'password', username: 'admin', password: PASSWORD });
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from('cf:').toString('base64')}`,
    };
    const answer = await send('POST', '/oauth/token', headers, form.toString());
    if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.body}`);
    return (JSON.parse(answer.body) as { access_token: string }).access_token;
  };
  const client: Asked = {
    ask: (host, path = '/') =>
      request(routers[turn++ % routers.length] ?? '', { method: 'GET', path, headers: { host } }),
    api: async (method, path, body) => {
      token ??= await login();
      const headers = { authorization: `bearer ${token}`, 'content-type': 'application/json' };
      const answer = await send(method, path, headers, body === undefined ? undefined : JSON.stringify(body));
      if (answer.status === 401) token = null;
      return { ...answer, body: answer.body === '' ? null : (JSON.parse(answer.body) as unknown) };
    },
    upload: async (path, zip) => {
      token ??= await login();
      const form = new Response(
        (() => {
          const data = new FormData();
          data.append('bits', new Blob([new Uint8Array(zip)]), 'bits.zip');
          return data;
        })(),
      );
      const headers = {
        authorization: `bearer ${token}`,
        'content-type': form.headers.get('content-type') ?? '',
      };
      return await send('POST', path, headers, Buffer.from(await form.arrayBuffer()));
    },
  };
  await until('the API answers through the routers', async () => (await client.api('GET', '/v3/info')).status === 200);
  const running = starting.move();
  return {
    plane,
    cells,
    stager,
    client,
    through: next => {
      routers = next;
    },
    rejoin: host => host.join(plane.addresses, null, flags(host)),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function request(
  address: string,
  { method, path, headers }: { method: string; path: string; headers: Record<string, string> },
  body?: string | Buffer,
): ReturnType<Asked['ask']> {
  return new Promise((resolve, reject) => {
    const sent = http.request({ host: address, port: 8080, method, path, headers, agent: false }, response => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on('error', reject);
    });
    sent.setTimeout(PATIENCE_MS, () => sent.destroy(new Error(`nothing was heard for ${PATIENCE_MS} ms`)));
    sent.on('error', reject);
    sent.end(body);
  });
}
