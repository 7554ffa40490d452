import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { goVariables, mavenWithoutLogins, pipVariables, readOperatorSettings } from './operator-settings.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cupola-home-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('pipVariables() takes the index of [global] and [install], without its login', () => {
  const text =
    '[global]\nindex-url = https://me:secret@pip.example/simple\ntimeout = 60\n[install]\ntrusted-host=pip.example\n[search]\nindex-url = https://other.example\n';
  expect(pipVariables(text)).toEqual({ PIP_INDEX_URL: 'https://pip.example/simple', PIP_TRUSTED_HOST: 'pip.example' });
});

test("goVariables() takes what names proxies, of each of a list without its login, and none of Go's other settings", () => {
  expect(goVariables('GOPROXY=https://a:b@go.example,direct\nGOFLAGS=-mod=mod\nGOPRIVATE=corp.example/*\n')).toEqual({
    GOPROXY: 'https://go.example,direct',
    GOPRIVATE: 'corp.example/*',
  });
});

test('mavenWithoutLogins() keeps mirrors, and no server or password', () => {
  const mirror = '<mirrors><mirror><url>https://maven.example/all</url><mirrorOf>*</mirrorOf></mirror></mirrors>';
  const proxy =
    '<proxies><proxy><host>proxy.example</host><username>me</username><password>pw</password></proxy></proxies>';
  const servers = '<servers><server><id>x</id><password>secret</password></server></servers>';
  const kept = mavenWithoutLogins(`<settings><!-- old: secret -->${servers}${mirror}${proxy}</settings>`);
  expect(kept).toBe(`<settings>${mirror}<proxies><proxy><host>proxy.example</host></proxy></proxies></settings>`);
});

test('readOperatorSettings() lets the environment win over files, and is empty where nothing is set', () => {
  expect(readOperatorSettings({}, home).mavenSettings).toBeNull();
  mkdirSync(join(home, '.config/pip'), { recursive: true });
  writeFileSync(join(home, '.config/pip/pip.conf'), '[global]\nindex-url = https://file.example/\n');
  expect(readOperatorSettings({}, home).variables.PIP_INDEX_URL).toBe('https://file.example/');
  const environment = { PIP_INDEX_URL: 'https://u:p@env.example/', SECRET: 'x' };
  expect(readOperatorSettings(environment, home).variables).toMatchObject({ PIP_INDEX_URL: 'https://env.example/' });
  expect(readOperatorSettings(environment, home).variables).not.toHaveProperty('SECRET');
});
