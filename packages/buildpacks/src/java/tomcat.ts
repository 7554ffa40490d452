/**
 * The server of a war: Apache Tomcat as its makers publish it, fetched by this machine's Maven, with the war at the root and nothing else, as CF's
 * java_buildpack does it. Its folder is the droplet's and is never written to; what a running Tomcat writes lies below TMPDIR.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import type { Stage } from '../buildpack.ts';
import { explaining } from '../explain.ts';
import { findProgram } from '../found-programs.ts';
import { JAVA_HINTS } from './hints.ts';
import { namesInJar } from './jar-file.ts';
import type { Java } from './java-version.ts';

/** For `javax.servlet`; for `jakarta.servlet` up to Servlet 6.0, and up to 6.1, which wants Java 17 (Tomcat's own table of versions). */
const VERSIONS = { javax: '9.0.117', jakarta: '10.1.59', newest: '11.0.24' } as const;
const NEWEST_NEEDS_JAVA = 17;

/** The port is taken once the app is up; a war that does not start ends the server, as far as Tomcat tells. */
const SERVER = `<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1">
  <Service name="Catalina">
    <Connector port="\${http.port}" bindOnInit="false" URIEncoding="UTF-8" />
    <Engine name="Catalina" defaultHost="localhost">
      <Valve className="org.apache.catalina.valves.RemoteIpValve" protocolHeader="x-forwarded-proto" />
      <Host name="localhost" appBase="webapps" autoDeploy="false" deployOnStartup="false" failCtxIfServletStartFails="true">
        <Valve className="org.apache.catalina.valves.ErrorReportValve" showReport="false" showServerInfo="false" />
        <Context path="" docBase="\${app.war}" />
      </Host>
    </Engine>
  </Service>
</Server>
`;

const startScript = (tomcat: string, war: string): string => `#!/bin/sh
export CATALINA_HOME=${tomcat} CATALINA_BASE="\${TMPDIR:-/tmp}/tomcat" LOGGING_CONFIG=-Dnop=nop
mkdir -p "$CATALINA_BASE/conf" "$CATALINA_BASE/webapps" "$CATALINA_BASE/temp" "$CATALINA_BASE/logs"
cp "$CATALINA_HOME"/conf/* "$CATALINA_BASE/conf/"
export CATALINA_OPTS="-Dhttp.port=$PORT -Dapp.war=${war} $CATALINA_OPTS"
exec "$CATALINA_HOME/bin/catalina.sh" run
`;

/** @returns the command that serves it. @throws StagingFailedError where Tomcat is not to be had. */
export async function serveWar(stage: Stage, { java, file }: { java: Java; file: string | null }): Promise<string> {
  const mvn = findProgram('mvn');
  if (mvn === null)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      'A war needs a server, which Maven fetches, and Maven is not on this machine. As root: apt-get install maven; or push a jar with a server in it.',
    );
  const isJakarta = needsJakarta(stage.app, file);
  const version = !isJakarta ? VERSIONS.javax : java.major >= NEWEST_NEEDS_JAVA ? VERSIONS.newest : VERSIONS.jakarta;
  const tomcat = join(stage.deps, 'tomcat');
  stage.say(`-----> Fetching Tomcat ${version}`);
  await fetchTomcat(stage, { mvn, version, tomcat });
  await writeFile(join(tomcat, 'conf/server.xml'), SERVER);
  const script = join(stage.deps, 'serve-war');
  await writeFile(script, startScript(tomcat, file === null ? stage.app : join(stage.app, file)), { mode: 0o755 });
  return script;
}

async function fetchTomcat(
  stage: Stage,
  { mvn, version, tomcat }: { mvn: string; version: string; tomcat: string },
): Promise<void> {
  const folder = join(stage.cache, 'tomcat');
  const archive = join(folder, `tomcat-${version}.tar.gz`);
  if (!existsSync(archive)) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const copy = ['-B', '-ntp', '-q', `-Dmaven.repo.local=${join(stage.cache, 'repository')}`, 'dependency:copy'];
    const what = [`-Dartifact=org.apache.tomcat:tomcat:${version}:tar.gz`, `-DoutputDirectory=${folder}`];
    const home = `-Duser.home=${stage.environment.HOME ?? stage.cache}`;
    await explaining(stage.app, JAVA_HINTS, () => stage.run([mvn, ...copy, ...what], { JAVA_TOOL_OPTIONS: home }));
  }
  await mkdir(tomcat, { recursive: true });
  await stage.run(['tar', '-xzf', archive, '-C', tomcat, '--strip-components=1']);
  // Its manual and its examples are nobody's app.
  for (const name of await readdir(tomcat))
    if (!['bin', 'conf', 'lib'].includes(name)) await rm(join(tomcat, name), { recursive: true, force: true });
}

/** By what it declares, and by the libraries that it brings. */
export function needsJakarta(app: string, file: string | null): boolean {
  const brings = /^WEB-INF\/lib\/.*(?:jakarta\.|spring-web-[67]\.)/;
  if (file !== null) return namesInJar(join(app, file)).some(name => brings.test(name));
  const declared = join(app, 'WEB-INF/web.xml');
  if (existsSync(declared) && readFileSync(declared, 'utf8').includes('jakarta.ee')) return true;
  const libraries = join(app, 'WEB-INF/lib');
  return existsSync(libraries) && readdirSync(libraries).some(name => brings.test(`WEB-INF/lib/${name}`));
}
