import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { hasConnection, untilUnasked } from './connected.ts';

const HEAD = '  sl  local_address rem_address   st';
const row = (local: string, remote: string, state: string) => `   0: ${local} ${remote} ${state} 00000000:00000000`;

test.each([
  ['a connection to the port', row('0100007F:1F90', '0100007F:C001', '01'), false, true],
  ['one that only listens', row('00000000:1F90', '00000000:0000', '0A'), false, false],
  ['one that is closing', row('0100007F:1F90', '0100007F:C001', '06'), false, false],
  ['one to another port', row('0100007F:1F91', '0100007F:C001', '01'), false, false],
  ['one from the port', row('0100007F:C001', '0100007F:1F90', '01'), false, false],
  ['one that an app has with itself', row('0100007F:1F90', '0100007F:C001', '01'), true, false],
  ['one from outside its network', row('0200000A:1F90', '0100000A:C001', '01'), true, true],
  [
    'one over IPv6',
    row('0000000000000000FFFF00000100007F:1F90', '0000000000000000FFFF00000100007F:C001', '01'),
    false,
    true,
  ],
])('hasConnection() of %s', (_name, line, isOwnNetwork, isOne) => {
  expect(hasConnection(`${HEAD}\n${line}\n`, { port: 8080, isOwnNetwork })).toBe(isOne);
});

test('untilUnasked() waits for the last connection, whoever has accepted it', async () => {
  const server = net.createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = net.connect(port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  const asked = { pid: () => process.pid, port, isOwnNetwork: false };
  const over = new AbortController();
  let isUnasked = false;
  const waiting = untilUnasked(asked, 60_000, over.signal).then(() => {
    isUnasked = true;
  });
  await new Promise(resolve => setImmediate(resolve));
  expect(isUnasked).toBe(false);
  client.destroy();
  accepted.destroy();
  await waiting;
  server.close();
});

test('untilUnasked() does not wait for a process that has ended, and not for ever', async () => {
  const signal = new AbortController().signal;
  await untilUnasked({ pid: () => null, port: 1, isOwnNetwork: false }, 60_000, signal);
  await untilUnasked({ pid: () => process.pid, port: 1, isOwnNetwork: false }, 60_000, AbortSignal.abort());
});
