/** Builds an app by Maven or Gradle: by its own wrapper where it has one, else by this machine's. */
import { chmodSync, existsSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import type { Stage } from '../buildpack.ts';
import { explaining } from '../explain.ts';
import { findProgram } from '../found-programs.ts';
import { JAVA_HINTS } from './hints.ts';
import type { Java } from './java-version.ts';
import { builtFile, type Shape } from './shape.ts';

/** What archives of a build say about when they were made: the first time that a zip can hold. */
const ARCHIVE_TIME = '1980-02-01T00:00:00Z';
/** Archives of Gradle without times, in one order (its own advice for reproducible archives). */
const GRADLE_INIT = `allprojects {
  tasks.withType(AbstractArchiveTask).configureEach {
    preserveFileTimestamps = false
    reproducibleFileOrder = true
  }
}
`;
/** Left by builds, needed by no start. */
const LEFT_OVER = [
  'classes',
  'test-classes',
  'generated-sources',
  'generated-test-sources',
  'maven-archiver',
  'maven-status',
  'surefire-reports',
  'tmp',
  'reports',
  'test-results',
  'generated',
  'resources',
  'distributions',
];

/** @returns what can be run. @throws StagingFailedError when it does not build, or leaves nothing that can be run. */
export async function buildJava(
  stage: Stage,
  kind: 'maven' | 'gradle',
  java: Java,
): Promise<Extract<Shape, { file: string }>> {
  const environment = {
    JAVA_HOME: java.home,
    PATH: `${join(java.home, 'bin')}:${stage.environment.PATH ?? '/usr/bin:/bin'}`,
    // The JVM takes its home from the list of users, where it is the app's own.
    JAVA_TOOL_OPTIONS: `-Duser.home=${stage.environment.HOME ?? stage.cache}`,
    MAVEN_OPTS: stage.environment.MAVEN_OPTS ?? '-Xmx512m',
    MAVEN_USER_HOME: join(stage.cache, 'maven'),
    GRADLE_USER_HOME: join(stage.cache, 'gradle'),
  };
  const argv = kind === 'maven' ? mavenCommand(stage) : await gradleCommand(stage);
  stage.say(`-----> ${argv.map(word => word.replace(`${stage.app}/`, './')).join(' ')}`);
  await explaining(stage.app, JAVA_HINTS, () => stage.run(argv, environment));
  const folder = kind === 'maven' ? 'target' : 'build/libs';
  const built = builtFile(stage.app, folder) ?? (await builtInModule(stage.app, folder));
  if (built === null)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      `The build left no jar with a Main-Class and no war in ${folder}. Let it make one (Spring Boot's plugin does), or name a command in a Procfile.`,
    );
  const output = join(stage.app, kind === 'maven' ? 'target' : 'build');
  for (const name of LEFT_OVER) await rm(join(output, name), { recursive: true, force: true });
  await rm(join(stage.app, '.gradle'), { recursive: true, force: true });
  return built;
}

/** Words of the user's for one of the tools, as Heroku's buildpacks take them. */
const wordsOf = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter(word => word !== '');

function mavenCommand({ app, cache, environment }: Stage): string[] {
  const program = wrapperOf(app, 'mvnw') ?? findProgram('mvn');
  if (program === null) throw missingTool('Maven', 'maven', 'mvnw (mvn wrapper:wrapper)');
  const asked = wordsOf(environment.MAVEN_CUSTOM_OPTS);
  const goals = wordsOf(environment.MAVEN_CUSTOM_GOALS);
  const fixed = [`-Dmaven.repo.local=${join(cache, 'repository')}`, `-Dproject.build.outputTimestamp=${ARCHIVE_TIME}`];
  return [
    program,
    '-B',
    '-ntp',
    ...fixed,
    ...(asked.length > 0 ? asked : ['-DskipTests']),
    ...(goals.length > 0 ? goals : ['package']),
  ];
}

async function gradleCommand({ app, cache, environment }: Stage): Promise<string[]> {
  const program = wrapperOf(app, 'gradlew') ?? findProgram('gradle');
  if (program === null) throw missingTool('Gradle', 'gradle', 'gradlew (gradle wrapper)');
  const init = join(cache, 'init.gradle');
  await writeFile(init, GRADLE_INIT);
  const asked = wordsOf(environment.GRADLE_TASK);
  return [
    program,
    '--no-daemon',
    '--console=plain',
    '--init-script',
    init,
    ...(asked.length > 0 ? asked : ['build', '-x', 'test']),
  ];
}

/** Zips made on Windows have no mode that says it can be run. */
function wrapperOf(app: string, name: string): string | null {
  const path = join(app, name);
  if (!existsSync(path)) return null;
  chmodSync(path, 0o755);
  return path;
}

const missingTool = (tool: string, name: string, wrapper: string): StagingFailedError =>
  new StagingFailedError(
    'BuildpackCompileFailed',
    `${tool} is not on this machine. As root: apt-get install ${name}; or push the app with its wrapper, ${wrapper}.`,
  );

/** In a build of several modules: the one module that leaves something to run. */
async function builtInModule(app: string, folder: string): Promise<Extract<Shape, { file: string }> | null> {
  const modules = (await readdir(app, { withFileTypes: true }))
    .filter(entry => entry.isDirectory())
    .map(({ name }) => name);
  const found = modules.toSorted().flatMap(name => builtFile(app, join(name, folder)) ?? []);
  return found.find(({ kind }) => kind === 'jar-file') ?? found[0] ?? null;
}
