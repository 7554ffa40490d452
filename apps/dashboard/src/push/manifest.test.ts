import { expect, test } from 'vitest';
import { readManifest } from './manifest.ts';

const read = (applications: unknown, text = '') => readManifest({ applications }, { name: 'mine', text });

test('readManifest() keeps what the manifest says, under the name that was typed, with a route if none is said', () => {
  expect(read([{ name: 'x', memory: '64M', path: '.' }])).toEqual({
    applications: [{ memory: '64M', name: 'mine', 'default-route': true }],
  });
  expect(read([{ name: 'x', 'no-route': true }])).toEqual({ applications: [{ name: 'mine', 'no-route': true }] });
});

test('readManifest() says what a CLI is needed for', () => {
  expect(() => read([{}, {}])).toThrow('not exactly one app');
  expect(() => read([{}], 'memory: ((size))')).toThrow('has variables');
  expect(() => read([{ path: 'dist' }])).toThrow('pushes dist');
  expect(() => read(undefined)).toThrow('not exactly one app');
});
