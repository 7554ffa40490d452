import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  adminPassword,
  dataFolder,
  makeFolders,
  publicUrl,
  readConfig,
  resolveConfig,
  writeConfig,
} from './platform-config.ts';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'cupola-config-'));
  makeFolders(data);
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

test('resolveConfig() remembers what a former start was told', () => {
  const first = resolveConfig(data, { port: 9_000, domain: 'apps.example.com' });
  writeConfig(data, first);
  expect(readConfig(data)).toEqual(first);
  expect(resolveConfig(data, {})).toMatchObject({ port: 9_000, domain: 'apps.example.com', apiPort: 8_081 });
});

test('resolveConfig() lets a flag win over what is remembered', () => {
  writeConfig(data, resolveConfig(data, { port: 9_000 }));
  expect(resolveConfig(data, { port: 9_001 }).port).toBe(9_001);
});

test('resolveConfig() keeps the ports of this machine that groups may open, until there are to be none', () => {
  writeConfig(data, resolveConfig(data, { hostPorts: '5432,6379,5432' }));
  expect(resolveConfig(data, {}).hostPorts).toEqual([5_432, 6_379]);
  expect(resolveConfig(data, { hostPorts: 'none' }).hostPorts).toEqual([]);
  for (const hostPorts of ['', '0', '5432, x', '70000'])
    expect(() => resolveConfig(data, { hostPorts })).toThrow(/--host-ports 5432,6379/);
});

test('resolveConfig() gives two folders two installations', () => {
  expect(resolveConfig(data, {}).installation).not.toBe(resolveConfig(data, {}).installation);
});

test('resolveConfig() refuses a domain with a scheme or capitals', () => {
  expect(() => resolveConfig(data, { domain: 'http://Apps' })).toThrow(/is not a domain name/);
});

test('adminPassword() is made once, long, and readable by its owner only', () => {
  const made = adminPassword(data, undefined);
  expect(made).toMatch(/^[A-Za-z0-9]{22}$/); // No hyphen in front: it is typed behind a flag.
  expect(adminPassword(data, undefined)).toBe(made);
  expect(statSync(join(data, 'admin-password')).mode & 0o777).toBe(0o600);
});

test('adminPassword() takes a new one by flag, and keeps it', () => {
  adminPassword(data, undefined);
  adminPassword(data, 'sesame');
  expect(readFileSync(join(data, 'admin-password'), 'utf8')).toBe('sesame\n');
});

test('publicUrl() is localhost, or api. below a real domain', () => {
  expect(publicUrl(resolveConfig(data, {}))).toBe('http://localhost:8081');
  expect(publicUrl(resolveConfig(data, { domain: 'example.com' }))).toBe('http://api.example.com:8081');
});

test('dataFolder() refuses a path too long for a unix socket', () => {
  expect(() => dataFolder(`/tmp/${'x'.repeat(100)}`)).toThrow(/longer than 80 bytes.*--data/);
});

test('resolveConfig() runs apps in Docker only where it was said, and until it is said otherwise', () => {
  expect(resolveConfig(data, {}).dockerHost).toBeNull();
  writeConfig(data, resolveConfig(data, { sandbox: 'docker' }));
  expect(resolveConfig(data, {}).dockerHost).toBe('unix:///var/run/docker.sock');
  expect(resolveConfig(data, { dockerHost: 'unix:///srv/d.sock' }).dockerHost).toBe('unix:///srv/d.sock');
  expect(resolveConfig(data, { sandbox: 'auto' }).dockerHost).toBeNull();
  expect(() => resolveConfig(data, { sandbox: 'auto', dockerHost: 'unix:///srv/d.sock' })).toThrow(/--sandbox docker/);
  expect(() => resolveConfig(data, { sandbox: 'podman' })).toThrow(/--sandbox docker, or --sandbox auto/);
});
