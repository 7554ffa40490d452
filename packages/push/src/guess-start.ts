/**
 * What the platform will most likely make of a folder, told before the push by what lies in it: which buildpack takes it, and how it is started. The build
 * decides; this looks at names and at two small files, in the order of CF's buildpacks (packages/buildpacks has the rules, packages/model the order).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SystemBuildpack } from '@cupola/model/system-buildpacks';

/** Something, and what it was seen by. */
export interface Guessed {
  readonly value: string;
  readonly from: string;
}

export interface Guess {
  /** Null: nothing known. */
  readonly language: Guessed | null;
  readonly start: Guessed | null;
}

const MARKS: readonly { buildpack: SystemBuildpack; language: string; files: readonly string[] }[] = [
  { buildpack: 'staticfile_buildpack', language: 'static files', files: ['Staticfile'] },
  {
    buildpack: 'java_buildpack',
    language: 'Java',
    files: ['META-INF/MANIFEST.MF', 'WEB-INF', 'pom.xml', 'build.gradle', 'build.gradle.kts', 'settings.gradle'],
  },
  { buildpack: 'ruby_buildpack', language: 'Ruby', files: ['Gemfile'] },
  { buildpack: 'nodejs_buildpack', language: 'Node.js', files: ['package.json'] },
  { buildpack: 'go_buildpack', language: 'Go', files: ['go.mod'] },
  {
    buildpack: 'python_buildpack',
    language: 'Python',
    files: ['requirements.txt', 'pyproject.toml', 'Pipfile', 'setup.py', 'manage.py', 'uv.lock', 'poetry.lock'],
  },
  { buildpack: 'php_buildpack', language: 'PHP', files: ['composer.json', 'index.php', 'htdocs/index.php'] },
  { buildpack: 'binary_buildpack', language: 'a program', files: ['Procfile'] },
];
/** Larger ones are not read for a guess. */
const READ_MAX_CHARACTERS = 1_000_000;

/** `folder`: what is pushed. An archive is looked into by the build only. */
export function guessStart(folder: string): Guess {
  const found = MARKS.map(mark => ({ ...mark, file: mark.files.find(file => existsSync(join(folder, file))) })).find(
    ({ file }) => file !== undefined,
  );
  const jar = jarIn(folder);
  const language =
    found?.file !== undefined && (jar === null || found.buildpack === 'staticfile_buildpack')
      ? { value: found.language, from: found.file }
      : jar === null
        ? null
        : { value: 'Java', from: jar };
  return { language, start: procfileStart(folder) ?? (language?.value === 'Node.js' ? nodeStart(folder) : null) };
}

function jarIn(folder: string): string | null {
  try {
    return readdirSync(folder).find(name => /\.(?:jar|war)$/.test(name)) ?? null;
  } catch {
    return null; // It is a file: an archive.
  }
}

function procfileStart(folder: string): Guessed | null {
  const web = /^web\s*:\s+(\S.*)$/m.exec(read(join(folder, 'Procfile')) ?? '')?.[1];
  return web === undefined ? null : { value: web.trim(), from: 'web in Procfile' };
}

/** As the Node.js buildpack chooses. */
function nodeStart(folder: string): Guessed | null {
  const { scripts, main } = packageJson(folder);
  if (typeof scripts?.start === 'string') return { value: 'npm start', from: `scripts.start: ${scripts.start}` };
  const files = ['server.js', ...(typeof main === 'string' ? [main] : []), 'index.js'];
  const file = files.find(one => existsSync(join(folder, one)));
  return file === undefined
    ? null
    : { value: `node ${file}`, from: file === main ? 'main in package.json' : `there is a ${file}` };
}

function packageJson(folder: string): { scripts?: { start?: unknown } | null; main?: unknown } {
  try {
    const value: unknown = JSON.parse(read(join(folder, 'package.json')) ?? '{}');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {}; // The build says what is wrong with it.
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').slice(0, READ_MAX_CHARACTERS);
  } catch {
    return null; // There is none.
  }
}
