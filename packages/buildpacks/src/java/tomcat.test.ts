import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aFolder, aStage } from '../fixtures.ts';
import { findProgram } from '../found-programs.ts';
import { javaBuildpack } from './java.ts';
import { installedJavas } from './java-version.ts';
import { needsJakarta } from './tomcat.ts';

/** What Maven would fetch: a Tomcat whose catalina.sh says how it was called. */
function fakeArchive(target: string): void {
  const says = '#!/bin/sh\necho "$1 $CATALINA_OPTS"; ls "$CATALINA_BASE/conf"\n';
  using tree = aFolder({ 'apache-tomcat-11/bin/catalina.sh': says, 'apache-tomcat-11/webapps/docs/a.html': '' });
  mkdirSync(join(tree.path, 'apache-tomcat-11/conf'));
  spawnSync('chmod', ['755', join(tree.path, 'apache-tomcat-11/bin/catalina.sh')]);
  spawnSync('tar', ['-czf', target, '-C', tree.path, 'apache-tomcat-11']);
}

test('needsJakarta() goes by what a war declares and by its libraries', () => {
  const of = (files: Record<string, string>): boolean => {
    using app = aFolder(files);
    return needsJakarta(app.path, null);
  };
  expect(of({ 'WEB-INF/web.xml': '<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee">' })).toBe(true);
  expect(of({ 'WEB-INF/web.xml': '<web-app/>', 'WEB-INF/lib/spring-web-6.2.1.jar': '' })).toBe(true);
  expect(of({ 'WEB-INF/web.xml': '<web-app/>', 'WEB-INF/lib/spring-web-5.3.1.jar': '' })).toBe(false);
});

test('needsJakarta() reads the libraries of a war that is a file', () => {
  using app = aFolder({ 'war/WEB-INF/lib/jakarta.xml.bind-api-4.0.jar': '' });
  const script =
    'import zipfile; zipfile.ZipFile("a.war", "w").write("war/WEB-INF/lib/jakarta.xml.bind-api-4.0.jar", "WEB-INF/lib/jakarta.xml.bind-api-4.0.jar")';
  spawnSync('python3', ['-c', script], { cwd: app.path });
  expect(needsJakarta(app.path, 'a.war')).toBe(true);
  expect(needsJakarta(app.path, 'war/WEB-INF/lib/jakarta.xml.bind-api-4.0.jar')).toBe(false);
});

test.skipIf(installedJavas().length === 0 || findProgram('mvn') === null)(
  'java_buildpack serves a war by a Tomcat that writes nothing into the droplet',
  async () => {
    using stage = aStage({ 'WEB-INF/web.xml': '<web-app/>' });
    const run: typeof stage.run = async (argv, more) => {
      const [, version] = /^-Dartifact=org\.apache\.tomcat:tomcat:([\d.]+):tar\.gz$/m.exec(argv.join('\n')) ?? [];
      if (version === undefined) return stage.run(argv, more);
      fakeArchive(join(stage.cache, 'tomcat', `tomcat-${version}.tar.gz`));
    };
    await javaBuildpack.compile({ ...stage, run });
    const { web = '' } = await javaBuildpack.release(stage);
    const started = spawnSync(web, [], {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', PORT: '8080', TMPDIR: stage.cache },
    });
    expect(started.stdout).toBe(`run -Dhttp.port=8080 -Dapp.war=${stage.app} \nserver.xml\n`);
    expect(existsSync(join(stage.deps, 'tomcat/webapps'))).toBe(false);
  },
);
