/** What kind of Java app a folder is. `cf push -p app.jar` sends the jar unpacked, so a manifest at the root is the usual one. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseManifest, readJar } from './jar-file.ts';

export type Shape =
  /** An unpacked jar with a main class. */
  | { kind: 'jar-folder'; mainClass: string; classPath: string[] }
  | { kind: 'war-folder' }
  /** A jar that is run as it lies there. */
  | { kind: 'jar-file'; file: string }
  | { kind: 'war-file'; file: string }
  /** What Gradle's `installDist` and sbt's native packager make: a script in bin, jars in lib. */
  | { kind: 'distribution'; script: string }
  | { kind: 'maven' }
  | { kind: 'gradle' };

/** Null: no Java app. Ready-made things before what would have to be built. */
export function shapeOf(app: string): Shape | null {
  const has = (path: string): boolean => existsSync(join(app, path));
  const manifest = has('META-INF/MANIFEST.MF')
    ? parseManifest(readFileSync(join(app, 'META-INF/MANIFEST.MF'), 'utf8'))
    : new Map<string, string>();
  const mainClass = manifest.get('Main-Class');
  if (mainClass !== undefined && /^[\w.$]+$/.test(mainClass))
    return { kind: 'jar-folder', mainClass, classPath: (manifest.get('Class-Path') ?? '').split(' ').filter(isPlain) };
  if (has('WEB-INF')) return { kind: 'war-folder' };
  if (has('pom.xml') || has('pom.atom') || has('pom.groovy')) return { kind: 'maven' };
  if (['build.gradle', 'build.gradle.kts', 'settings.gradle', 'settings.gradle.kts'].some(has))
    return { kind: 'gradle' };
  const built = builtFile(app, '.');
  if (built !== null) return built;
  const script = distributionScript(app);
  return script === null ? null : { kind: 'distribution', script };
}

const isPlain = (path: string): boolean => /^[\w./-]+$/.test(path) && !path.startsWith('/') && !path.includes('..');

/** What a build has left that can be run: the largest jar with a main class, else a war. Jars of sources and the like are passed over. */
export function builtFile(app: string, folder: string): Extract<Shape, { file: string }> | null {
  if (!existsSync(join(app, folder))) return null;
  const names = readdirSync(join(app, folder)).filter(
    name => !/-(?:sources|javadoc|plain|tests)\.jar$|^original-/.test(name),
  );
  const runnable = names
    .filter(name => /\.(?:jar|war)$/.test(name))
    .flatMap(name => {
      const facts = readJar(join(app, folder, name));
      const isRun = facts?.manifest.has('Main-Class') ?? false;
      return facts === null ? [] : [{ file: join(folder, name), isRun, classes: facts.classes }];
    })
    .toSorted((a, b) => Number(b.isRun) - Number(a.isRun) || b.classes - a.classes);
  const [first] = runnable;
  if (first === undefined) return null;
  if (first.isRun) return { kind: 'jar-file', file: first.file };
  const war = runnable.find(({ file }) => file.endsWith('.war'));
  return war === undefined ? null : { kind: 'war-file', file: war.file };
}

function distributionScript(app: string): string | null {
  if (!existsSync(join(app, 'bin')) || !existsSync(join(app, 'lib'))) return null;
  if (!readdirSync(join(app, 'lib')).some(name => name.endsWith('.jar'))) return null;
  const scripts = readdirSync(join(app, 'bin')).filter(name => existsSync(join(app, 'bin', `${name}.bat`)));
  return scripts.length === 1 && /^[\w.-]+$/.test(scripts[0] ?? '') ? `bin/${scripts[0]}` : null;
}
