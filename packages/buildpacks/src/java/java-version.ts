/** Which Java an app asks for, and which of this machine runs it. */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';

export interface Java {
  home: string;
  major: number;
  /** It compiles too. */
  isJdk: boolean;
}

/** Where distributions and vendors' packages put them. */
const JVM_FOLDERS = ['/usr/lib/jvm', '/usr/local/lib/jvm', '/usr/java'];

/** Each once, however many names it has. */
export function installedJavas(folders: readonly string[] = JVM_FOLDERS): Java[] {
  const homes = new Set(
    folders
      .filter(existsSync)
      .flatMap(folder => readdirSync(folder).map(name => join(folder, name)))
      .filter(home => existsSync(join(home, 'bin/java')))
      .map(home => realpathSync(home)),
  );
  return [...homes].flatMap(home => {
    const major = majorOf(home);
    return major === null ? [] : [{ home, major, isJdk: existsSync(join(home, 'bin/javac')) }];
  });
}

function majorOf(home: string): number | null {
  try {
    const version = /^JAVA_VERSION="?(?:1\.)?(\d+)/m.exec(readFileSync(join(home, 'release'), 'utf8'))?.[1];
    return version === undefined ? null : Number(version);
  } catch {
    return null; // Not laid out as a Java is.
  }
}

export interface AskedJava {
  /** Null: the app does not say. */
  major: number | null;
  from: string;
}

/** `JBP_CONFIG_OPEN_JDK_JRE` of CF, `system.properties` of Heroku, else what the build compiles for. */
export function askedJava(app: string, environment: Readonly<Record<string, string>>): AskedJava {
  const read = (file: string): string => (existsSync(join(app, file)) ? readFileSync(join(app, file), 'utf8') : '');
  const places: ReadonlyArray<readonly [from: string, text: string, pattern: RegExp]> = [
    ['JBP_CONFIG_OPEN_JDK_JRE', environment.JBP_CONFIG_OPEN_JDK_JRE ?? '', /version\s*:\s*"?'?(?:1\.)?(\d+)/],
    ['system.properties', read('system.properties'), /^\s*java\.runtime\.version\s*=\s*(?:1\.)?(\d+)/m],
    [
      'pom.xml',
      read('pom.xml'),
      /<(?:java\.version|maven\.compiler\.release|maven\.compiler\.target|maven\.compiler\.source|release)>\s*(?:1\.)?(\d+)\s*</,
    ],
    [
      'build.gradle',
      `${read('build.gradle')}\n${read('build.gradle.kts')}`,
      /JavaLanguageVersion\.of\((\d+)\)|JavaVersion\.VERSION_(?:1_)?(\d+)|sourceCompatibility\s*=\s*['"]?(?:1\.)?(\d+)/,
    ],
  ];
  for (const [from, text, pattern] of places) {
    const found = pattern
      .exec(text)
      ?.slice(1)
      .find(group => group !== undefined);
    if (found !== undefined) return { major: Number(found), from };
  }
  return { major: null, from: '' };
}

/** The one that was asked for; else the oldest that is newer, since Java runs what was compiled for an older one. */
export function chooseJava(asked: AskedJava, all: readonly Java[], { compiles }: { compiles: boolean }): Java | null {
  const able = all.filter(({ isJdk }) => isJdk || !compiles).toSorted((a, b) => a.major - b.major);
  const { major } = asked;
  if (major === null) return able.find(({ major }) => LONG_TERM.has(major)) ?? able[0] ?? null;
  return able.find(java => java.major >= major) ?? null;
}

/** Releases with long support: those are taken where an app does not say. */
const LONG_TERM = new Set([17, 21, 25]);

export function missingJava(
  asked: AskedJava,
  all: readonly Java[],
  { compiles }: { compiles: boolean },
): StagingFailedError {
  const kind = compiles ? 'jdk' : 'jre';
  const here = all.map(({ major }) => major).toSorted((a, b) => a - b);
  const install = `As root: apt-get install ${asked.major === null ? `default-${kind}-headless` : `openjdk-${asked.major}-${kind}-headless`}; then push again.`;
  return new StagingFailedError(
    'BuildpackCompileFailed',
    here.length === 0 || asked.major === null
      ? `${compiles ? 'A Java that compiles' : 'Java'} is not on this machine. ${install}`
      : `Java ${asked.major} (by ${asked.from}) is not on this machine, which has ${here.join(', ')}. ${install}`,
  );
}
