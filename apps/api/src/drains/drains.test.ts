/** From a bound service to a syslog server, through the API as users and parts see it. */
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { makeStagedApp } from '../apps/fixtures.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';

interface Receiver extends AsyncDisposable {
  readonly port: number;
  readonly lines: string[];
  readonly connections: number;
  /** Connections that are open now. */
  readonly open: number;
}

async function receiver(): Promise<Receiver> {
  let connections = 0;
  const lines: string[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer(socket => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', chunk => lines.push(...String(chunk).split('\n').filter(Boolean)));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    lines,
    get connections() {
      return connections;
    },
    get open() {
      return sockets.size;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise(resolve => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const to = (guid: string) => ({ data: { guid } });

/** An app bound to a service that names this drain; returns the app's guid and how to unbind it. */
async function anAppWithDrain(test: TestApi, url: string): Promise<{ appGuid: string; unbind(): Promise<void> }> {
  const { guid: appGuid } = await makeStagedApp(test);
  const call = (path: string, body: unknown) => test.api('POST', path, { token: test.admin, body });
  const relationships = { space: to(test.home.spaceGuid) };
  const service = await call('/v3/service_instances', {
    type: 'user-provided',
    name: 'drain',
    relationships,
    syslog_drain_url: url,
  });
  const binding = await call('/v3/service_credential_bindings', {
    type: 'app',
    relationships: { app: to(appGuid), service_instance: to(service.body.guid) },
  });
  return {
    appGuid,
    unbind: async () => {
      await test.api('DELETE', `/v3/service_credential_bindings/${binding.body.guid}`, { token: test.admin });
    },
  };
}

/** A line as an agent hands it in. */
function say(test: TestApi, appGuid: string, line: string): Promise<number> {
  const timestampNs = String(BigInt(test.clock.now()) * 1_000_000n);
  const envelope = { appGuid, sourceType: 'APP/PROC/WEB', instanceId: '0', type: 'OUT', timestampNs, line };
  return new Promise((resolve, reject) => {
    const options = { socketPath: test.socketPath, path: '/internal/logs', method: 'POST' };
    http
      .request(options, response => resolve(response.resume().statusCode ?? 0))
      .on('error', reject)
      .end(JSON.stringify({ envelopes: [envelope] }));
  });
}

async function ownLines(test: TestApi, appGuid: string): Promise<string[]> {
  const lines = await test.deps.logs.read({ appGuid, limit: 100, descending: false, sourceTypes: ['LGR'] });
  return lines.map(({ line }) => line);
}

const poll = <T>(look: () => T | Promise<T>) => expect.poll(look, { timeout: 20_000, interval: 5 });

test('lines of a bound app go to its drain with the names of app, space and organization, and stay in the log', async () => {
  await using server = await receiver();
  await using test = await startTestApi({ drainTargets: ['127.0.0.1'] });
  const { appGuid } = await anAppWithDrain(test, `syslog://127.0.0.1:${server.port}`);
  test.clock.pass(10_000);
  expect(await say(test, appGuid, 'hello drain')).toBe(204);
  await poll(() => server.lines.filter(line => line.endsWith(' hello drain')).length).toBe(1);
  const line = server.lines.find(text => text.endsWith(' hello drain'));
  expect(line).toContain(`.dev.`);
  expect(line).toContain(`app_id="${appGuid}"`);
  expect(line).toContain('organization_name="cupola"');
  const kept = await test.deps.logs.read({ appGuid, limit: 10, descending: true, sourceTypes: ['APP/'] });
  expect(kept.map(({ line: text }) => text)).toEqual(['hello drain']);
});

test('lines of another app do not go there, and none once it is unbound', async () => {
  await using server = await receiver();
  await using test = await startTestApi({ drainTargets: ['127.0.0.1'] });
  const bound = await anAppWithDrain(test, `syslog://127.0.0.1:${server.port}`);
  const other = await makeStagedApp(test, { app: { name: 'other' } });
  test.clock.pass(10_000);
  await say(test, other.guid, 'of another app');
  await say(test, bound.appGuid, 'first');
  await poll(() => server.lines.some(line => line.endsWith(' first'))).toBe(true);
  await bound.unbind();
  test.clock.pass(10_000);
  // The look at the bindings that this line starts is the one after which there is no drain.
  await say(test, bound.appGuid, 'while it looks');
  await poll(() => server.open).toBe(0);
  await say(test, bound.appGuid, 'after');
  expect(server.lines.filter(line => /another app$|after$/.test(line))).toEqual([]);
});

test('a drain to an address that is not public gets nothing, and the app’s log says why', async () => {
  await using server = await receiver();
  await using test = await startTestApi();
  const { appGuid } = await anAppWithDrain(test, `syslog://localhost:${server.port}`);
  test.clock.pass(10_000);
  await say(test, appGuid, 'secret');
  await poll(() => ownLines(test, appGuid)).toEqual([
    `log lines wait: the syslog drain at localhost:${server.port} (tcp) fails, its host localhost has no public address; the operator can allow private ones (CUPOLA_DRAIN_TARGETS)`,
  ]);
  expect(server.connections).toBe(0);
});

test('a drain that is none is said once', async () => {
  await using test = await startTestApi();
  const { appGuid } = await anAppWithDrain(test, 'gopher://logs.example');
  test.clock.pass(10_000);
  await say(test, appGuid, 'one');
  await poll(async () => (await ownLines(test, appGuid)).length).toBe(1);
  test.clock.pass(10_000);
  await say(test, appGuid, 'two');
  test.clock.pass(10_000);
  await say(test, appGuid, 'three');
  expect(await ownLines(test, appGuid)).toHaveLength(1);
});
