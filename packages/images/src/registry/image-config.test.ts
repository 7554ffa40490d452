import { expect, test } from 'vitest';
import { readImageConfig } from './image-config.ts';

const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const read = (config: unknown, more = {}) =>
  readImageConfig(Buffer.from(JSON.stringify({ os: 'linux', architecture, config, ...more }))).config;

test('readImageConfig() reads what an image says, as Docker and OCI write it', () => {
  const config = read({
    Entrypoint: ['/app', 'two words'],
    Cmd: null,
    Env: ['A=1=2', 'B'],
    WorkingDir: '/srv',
    User: '1000:1000',
    ExposedPorts: { '9000/tcp': {}, '53/udp': {}, '80': {}, '7000-7003/tcp': {} },
  });
  expect(config).toEqual({
    entrypoint: ['/app', 'two words'],
    command: [],
    environment: { A: '1=2', B: '' },
    folder: '/srv',
    user: '1000:1000',
    ports: [80, 7000, 9000],
  });
});

test('readImageConfig() of an image that says nothing', () => {
  const nothing = { entrypoint: [], command: [], environment: {}, folder: '/', user: '', ports: [] };
  expect([read(null), read({})]).toEqual([nothing, nothing]);
});

test.each([
  [{ architecture: 's390x' }, /it is for linux\/s390x, and this machine is linux/],
  [{ os: 'windows' }, /it is for windows/],
  [{ config: 'x' }, /none of OCI's/],
])('readImageConfig() refuses %j', (more, words) => {
  expect(() => read(null, more)).toThrow(words);
});
