import { spawn } from 'node:child_process';
import net from 'node:net';
import { expect, test } from 'vitest';
import { bindAgain, bindListener } from './listener.ts';
import { PlainError } from './platform-config.ts';

/** Listens on descriptor 3, answers each connection with its name, until it is killed. */
const SERVER = `
  require('node:net').createServer(socket => socket.end(process.env.NAME)).listen({ fd: 3 }, () => console.log('listening'));
`;

async function serve(fd: number, name: string): Promise<{ kill(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', SERVER], {
    env: { NAME: name },
    stdio: ['ignore', 'pipe', 'inherit', fd],
  });
  await new Promise(resolve => child.stdout?.once('data', resolve));
  return {
    kill: () =>
      new Promise(resolve => {
        child.once('exit', () => resolve());
        child.kill('SIGKILL');
      }),
  };
}

function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.on('data', chunk => {
      text += String(chunk);
    });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}

test('bindListener() with port 0 names the port that was taken', () => {
  const listener = bindListener('127.0.0.1', 0);
  expect(listener.port).toBeGreaterThan(0);
  listener.close();
});

test('a connection that comes while the server is killed is answered by the next one', async () => {
  const listener = bindListener('127.0.0.1', 0);
  const first = await serve(listener.fd, 'first');
  expect(await ask(listener.port)).toBe('first');
  await first.kill();
  const waiting = ask(listener.port);
  const second = await serve(listener.fd, 'second');
  expect(await waiting).toBe('second');
  await second.kill();
  listener.close();
});

test('a taken port is refused in words that name the flag', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  expect(() => bindListener('127.0.0.1', port)).toThrow(PlainError);
  expect(() => bindListener('127.0.0.1', port)).toThrow(/Port \d+ on 127\.0\.0\.1 is taken.*--port/);
  await new Promise(resolve => server.close(resolve));
});

test('an address of another machine is refused', () => {
  expect(() => bindListener('192.0.2.1', 0)).toThrow(/not an address of this machine.*--listen/);
});

test('bindAgain() takes another port than the one that is known where somebody listens there', async () => {
  const other = net.createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => other.once('listening', resolve));
  const { port } = other.address() as net.AddressInfo;
  const elsewhere = bindAgain('127.0.0.1', port);
  expect(elsewhere.port).not.toBe(port);
  elsewhere.close();
  await new Promise(resolve => other.close(resolve));
});
