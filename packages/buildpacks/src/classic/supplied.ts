/**
 * What a buildpack has put into its folder of dependencies for those after it, and for the start: programs in `bin`, libraries in `lib`, variables as files
 * in `env`, scripts in `profile.d` (the convention of Cloud Foundry's libbuildpack, stager.go).
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folder -> variables that list it. */
const FOLDERS: ReadonlyArray<readonly [folder: string, names: readonly string[]]> = [
  ['bin', ['PATH']],
  ['lib', ['LD_LIBRARY_PATH', 'LIBRARY_PATH']],
  ['include', ['INCLUDE_PATH', 'CPATH', 'CPPPATH']],
  ['pkgconfig', ['PKG_CONFIG_PATH']],
];
/** Those that a start needs: the others are of compilers. */
const OF_START = new Set(['PATH', 'LD_LIBRARY_PATH', 'LIBRARY_PATH']);
const VARIABLE_MAX_BYTES = 64 * 1024;
/** Written by the last buildpack where it is one of Cloud Foundry's own kind. */
const SCRIPT = '000_multi-supply.sh';

/** For the programs of the next build step: `before` with what lies in these folders, the later ones first. */
export function suppliedVariables(
  folders: readonly string[],
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const folder of folders) {
    for (const [name, names] of FOLDERS)
      if (existsSync(join(folder, name)))
        for (const variable of names) {
          const rest = variables[variable] ?? before[variable];
          variables[variable] = rest === undefined ? join(folder, name) : `${join(folder, name)}:${rest}`;
        }
    Object.assign(variables, variablesIn(join(folder, 'env')));
  }
  return variables;
}

function variablesIn(folder: string): Record<string, string> {
  if (!existsSync(folder)) return {};
  return Object.fromEntries(
    readdirSync(folder)
      .filter(name => /^\w+$/.test(name) && isSmallFile(join(folder, name)))
      .map(name => [name, readFileSync(join(folder, name), 'utf8').replace(/\n$/, '')]),
  );
}

function isSmallFile(path: string): boolean {
  const stats = statSync(path);
  return stats.isFile() && stats.size <= VARIABLE_MAX_BYTES;
}

/** The same for each start, unless the last buildpack has seen to it. `profileD` gets the scripts, with the index of their buildpack in front. */
export function writeSuppliedProfile(folders: readonly string[], profileD: string): void {
  if (existsSync(join(profileD, SCRIPT))) return;
  const lines: string[] = [];
  for (const [index, folder] of folders.entries()) {
    for (const [name, names] of FOLDERS)
      if (existsSync(join(folder, name)))
        for (const variable of names.filter(one => OF_START.has(one)))
          lines.push(`export ${variable}="${join(folder, name)}\${${variable}:+:$${variable}}"\n`);
    const scripts = join(folder, 'profile.d');
    if (!existsSync(scripts)) continue;
    for (const name of readdirSync(scripts).filter(one => statSync(join(scripts, one)).isFile()))
      copyFileSync(join(scripts, name), join(profileD, `${index}_${name}`));
  }
  if (lines.length > 0) writeFileSync(join(profileD, SCRIPT), lines.join(''));
}
