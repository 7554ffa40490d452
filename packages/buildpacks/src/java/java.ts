/** java_buildpack: a jar or war as `cf push -p` sends it, a distribution of Gradle, or sources that Maven or Gradle build. Java is the stack's. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { BUILDPACK_VERSION, type Buildpack, type Stage } from '../buildpack.ts';
import { buildJava } from './build.ts';
import { readJar } from './jar-file.ts';
import { askedJava, chooseJava, installedJavas, type Java, missingJava } from './java-version.ts';
import { memoryScript, metaspaceMb } from './memory.ts';
import { type Shape, shapeOf } from './shape.ts';
import { serveWar } from './tomcat.ts';

/** Of a class file, after its magic number: Java 17 writes 61. */
const CLASS_MAJOR_OFFSET = 6;
const CLASS_MAJOR_OF_JAVA_1 = 44;

export const javaBuildpack: Buildpack = {
  name: 'java_buildpack',
  title: 'Java',
  detect: async app => (shapeOf(app) === null ? null : `java ${BUILDPACK_VERSION}`),
  compile,
  release: async ({ deps }) => ({ web: await readFile(join(deps, 'command'), 'utf8') }),
};

async function compile(stage: Stage): Promise<void> {
  const shape = shapeOf(stage.app);
  if (shape === null)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      'This is no Java app: there is no pom.xml, build.gradle, META-INF/MANIFEST.MF with a Main-Class, WEB-INF or jar. Push the jar (cf push -p target/APP.jar), or the folder with the build file.',
    );
  const compiles = shape.kind === 'maven' || shape.kind === 'gradle';
  const java = pickJava(stage, shape, { compiles });
  const ready = shape.kind === 'maven' || shape.kind === 'gradle' ? await buildJava(stage, shape.kind, java) : shape;
  stage.offerPrograms(join(java.home, 'bin'));
  const command = await commandOf(stage, ready, java);
  await writeFile(join(stage.deps, 'command'), command);
  const classes = countClasses(stage.app, ready);
  await writeFile(join(stage.profileD, 'java.sh'), profile(java, metaspaceMb(classes)));
}

function pickJava(stage: Stage, shape: Shape, { compiles }: { compiles: boolean }): Java {
  const all = installedJavas();
  const said = askedJava(stage.app, stage.environment);
  const asked = said.major === null && shape.kind === 'jar-folder' ? ofClasses(stage.app) : said;
  const java = chooseJava(asked, all, { compiles });
  if (java === null) throw missingJava(asked, all, { compiles });
  stage.say(`-----> Java ${java.major}${asked.major === null ? '' : ` (${asked.major} by ${asked.from})`}`);
  return java;
}

/** What an unpacked jar's own classes were compiled for. */
function ofClasses(app: string): { major: number | null; from: string } {
  const file = firstClass(join(app, existsSync(join(app, 'BOOT-INF/classes')) ? 'BOOT-INF/classes' : '.'), 0);
  if (file === null) return { major: null, from: '' };
  return { major: readFileSync(file).readUInt16BE(CLASS_MAJOR_OFFSET) - CLASS_MAJOR_OF_JAVA_1, from: 'its classes' };
}

function firstClass(folder: string, depth: number): string | null {
  if (depth > 20) return null;
  const entries = readdirSync(folder, { withFileTypes: true });
  const found = entries.find(entry => entry.isFile() && /^\w+\.class$/.test(entry.name));
  if (found !== undefined) return join(folder, found.name);
  for (const entry of entries) {
    const below =
      entry.isDirectory() && entry.name !== 'META-INF' ? firstClass(join(folder, entry.name), depth + 1) : null;
    if (below !== null) return below;
  }
  return null;
}

/** As one command line of a shell. PORT is told to Spring by its own name too. */
async function commandOf(
  stage: Stage,
  shape: Exclude<Shape, { kind: 'maven' | 'gradle' }>,
  java: Java,
): Promise<string> {
  if (shape.kind === 'jar-file') return `SERVER_PORT=$PORT java $JAVA_OPTS -jar ${shellWord(shape.file)}`;
  if (shape.kind === 'jar-folder') {
    const classPath = ['$HOME', ...shape.classPath.map(path => `$HOME/${path}`)].join(':');
    return `SERVER_PORT=$PORT java $JAVA_OPTS -cp ${classPath} '${shape.mainClass}'`;
  }
  if (shape.kind === 'distribution') return `SERVER_PORT=$PORT ${shape.script}`;
  return serveWar(stage, { java, file: shape.kind === 'war-folder' ? null : shape.file });
}

const shellWord = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function countClasses(app: string, shape: Shape): number {
  if ('file' in shape) return readJar(join(app, shape.file))?.classes ?? 0;
  const folder = shape.kind === 'distribution' ? join(app, 'lib') : app;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files.reduce((sum, name) => {
    if (name.endsWith('.class')) return sum + 1;
    return name.endsWith('.jar') ? sum + (readJar(join(folder, name))?.classes ?? 0) : sum;
  }, 0);
}

function profile({ home }: Java, metaspace: number): string {
  // Java reads names of files by the locale: without one, those that are not ASCII are none of its files.
  return `export LANG="\${LANG:-C.UTF-8}"
export JAVA_HOME="\${JAVA_HOME:-${home}}"
export PATH="$JAVA_HOME/bin:$PATH"
${memoryScript(metaspace)}export JAVA_TOOL_OPTIONS="\${JAVA_TOOL_OPTIONS:+$JAVA_TOOL_OPTIONS }-Djava.io.tmpdir=$TMPDIR"
`;
}
