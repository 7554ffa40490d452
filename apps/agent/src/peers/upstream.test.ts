import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { aQuery } from './fixtures.ts';
import { createUpstream, type Server } from './upstream.ts';

/** A server that answers as told, if at all, and what it was asked. */
async function aServer(
  answer: (query: Buffer) => Buffer | null,
): Promise<AsyncDisposable & { at: Server; asked: Buffer[] }> {
  const socket: Socket = createSocket('udp4');
  const asked: Buffer[] = [];
  socket.on('message', (query, from) => {
    asked.push(query);
    const reply = answer(query);
    if (reply !== null) socket.send(reply, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    at: { address: '127.0.0.1', port: socket.address().port },
    asked,
    [Symbol.asyncDispose]: () => new Promise(resolve => socket.close(() => resolve())),
  };
}
const saying = (text: string) => (query: Buffer) => Buffer.concat([query.subarray(0, 2), Buffer.from(text)]);
const told = (reply: Buffer | null): string | undefined => reply?.toString('latin1', 2);

test('createUpstream() hands a query on as it is, and the answer back', async () => {
  await using host = await aServer(saying('one'));
  const query = aQuery('example.com');
  expect(told(await createUpstream([host.at]).ask(query, 'a'))).toBe('one');
  expect(host.asked).toEqual([query]);
});

test('createUpstream() asks the next server where one is silent, or not there', async () => {
  await using silent = await aServer(() => null);
  await using host = await aServer(saying('two'));
  const gone = await aServer(() => null);
  await gone[Symbol.asyncDispose]();
  expect(told(await createUpstream([silent.at, gone.at, host.at]).ask(aQuery('example.com'), 'a'))).toBe('two');
  expect(await createUpstream([gone.at, gone.at]).ask(aQuery('example.com'), 'a')).toBeNull();
});

test('createUpstream() does not take the answer to another query', async () => {
  await using liar = await aServer(() => Buffer.from([0, 0, 1, 2]));
  await using host = await aServer(saying('true'));
  expect(told(await createUpstream([liar.at, host.at]).ask(aQuery('example.com'), 'a'))).toBe('true');
});

test('createUpstream() lets one source wait for so many answers, and others for theirs', async () => {
  await using host = await aServer(query => (query.readUInt16BE(0) < 100 ? null : saying('here')(query)));
  const upstream = createUpstream([host.at]);
  const waiting = Array.from({ length: 100 }, (_, id) => upstream.ask(aQuery('slow.example', id), 'a'));
  expect(await upstream.ask(aQuery('example.com', 200), 'a')).toBeNull();
  expect(told(await upstream.ask(aQuery('example.com', 200), 'b'))).toBe('here');
  await Promise.all(waiting);
  expect(told(await upstream.ask(aQuery('example.com', 200), 'a'))).toBe('here');
});
