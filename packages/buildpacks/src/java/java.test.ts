import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aFolder, aStage } from '../fixtures.ts';
import { javaBuildpack } from './java.ts';
import { askedJava, chooseJava, installedJavas, type Java, missingJava } from './java-version.ts';
import { memoryScript, metaspaceMb } from './memory.ts';

const java = (major: number, isJdk = true): Java => ({ home: `/usr/lib/jvm/${major}`, major, isJdk });

test('askedJava() listens to CF, to Heroku, then to what the build compiles for', () => {
  const asked = (files: Record<string, string>, environment = {}) => {
    using app = aFolder(files);
    return askedJava(app.path, environment);
  };
  const pom = { 'pom.xml': '<properties><maven.compiler.source>1.8</maven.compiler.source></properties>' };
  const heroku = { ...pom, 'system.properties': 'java.runtime.version=21\n' };
  expect(asked({})).toEqual({ major: null, from: '' });
  expect(asked(pom)).toEqual({ major: 8, from: 'pom.xml' });
  expect(asked(heroku)).toEqual({ major: 21, from: 'system.properties' });
  expect(asked(heroku, { JBP_CONFIG_OPEN_JDK_JRE: '{ jre: { version: 25.+ } }' })).toMatchObject({ major: 25 });
  expect(
    asked({ 'build.gradle': 'java { toolchain { languageVersion = JavaLanguageVersion.of(17) } }' }),
  ).toMatchObject({ major: 17 });
});

test('chooseJava() takes the oldest that is new enough, and for a build one that compiles', () => {
  const all = [java(25), java(11, false), java(17)];
  const choose = (major: number | null, compiles = false) =>
    chooseJava({ major, from: 'x' }, all, { compiles })?.major ?? null;
  expect([8, 11, 12, 26, null].map(major => choose(major))).toEqual([11, 11, 17, null, 17]);
  expect(choose(11, true)).toBe(17);
});

test('missingJava() names the package', () => {
  const { message } = missingJava({ major: 21, from: 'pom.xml' }, [java(17)], { compiles: true });
  expect(message).toContain(
    'Java 21 (by pom.xml) is not on this machine, which has 17. As root: apt-get install openjdk-21-jdk-headless',
  );
});

const options = (limit: string): string =>
  execFileSync('bash', ['-c', `${memoryScript(metaspaceMb(1000))}echo "$JAVA_TOOL_OPTIONS"`], {
    env: { PATH: '/usr/bin:/bin', MEMORY_LIMIT: limit },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
const sizes = (text: string): number[] => [...text.matchAll(/(?:Xmx|Size=)(\d+)m/g)].map(([, size]) => Number(size));

test.each(['256m', '512M', '1024m', '2g'])(
  'memoryScript() keeps heap, metaspace, code and buffers within %s',
  limit => {
    const total = Number.parseInt(limit, 10) * (limit.endsWith('g') ? 1024 : 1);
    const parts = sizes(options(limit));
    expect(parts).toHaveLength(4);
    expect(parts.reduce((sum, part) => sum + part, 0)).toBeLessThan(total);
    expect(parts[0]).toBeGreaterThanOrEqual(total / 4 - 1);
  },
);

test('memoryScript() says nothing to the JVM where there is no limit', () => {
  expect(options('')).toBe('\n');
});

test.skipIf(installedJavas().length === 0)('java_buildpack starts an unpacked jar by its main class', async () => {
  using stage = aStage({ 'META-INF/MANIFEST.MF': 'Main-Class: org.example.Main\nClass-Path: lib/a.jar\n' });
  await javaBuildpack.compile(stage);
  expect(await javaBuildpack.release(stage)).toEqual({
    web: "SERVER_PORT=$PORT java $JAVA_OPTS -cp $HOME:$HOME/lib/a.jar 'org.example.Main'",
  });
  expect(readFileSync(join(stage.profileD, 'java.sh'), 'utf8')).toContain('export PATH="$JAVA_HOME/bin:$PATH"');
});
