/** node_modules that were pushed with the app: what of it must be done again here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PackageJson } from './package-json.ts';

export interface Vendored {
  /** Native code or install scripts, or links to programs that an upload has lost. */
  needsRebuild: boolean;
  /** Declared dependencies that are not there. */
  missing: string[];
}

/** Null when the app came without node_modules. */
export function lookAtVendored(app: string, json: PackageJson): Vendored | null {
  const modules = join(app, 'node_modules');
  const names = packageNames(modules);
  if (names.length === 0) return null;
  const missing = json.dependencies.filter(name => !existsSync(join(modules, name)));
  return { missing, needsRebuild: names.some(name => wantsInstallScript(join(modules, name), name, modules)) };
}

function packageNames(modules: string): string[] {
  if (!existsSync(modules)) return [];
  return readdirSync(modules).flatMap(name => {
    if (name.startsWith('.')) return [];
    return name.startsWith('@') ? readdirSync(join(modules, name)).map(inner => `${name}/${inner}`) : [name];
  });
}

function wantsInstallScript(folder: string, name: string, modules: string): boolean {
  if (existsSync(join(folder, 'binding.gyp'))) return true;
  try {
    const { scripts = {}, bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      scripts?: Record<string, string>;
      bin?: string | Record<string, string>;
    };
    if (scripts.preinstall !== undefined || scripts.install !== undefined || scripts.postinstall !== undefined)
      return true;
    const programs = typeof bin === 'string' ? [name.split('/').at(-1) ?? name] : Object.keys(bin ?? {});
    return programs.some(program => !existsSync(join(modules, '.bin', program)));
  } catch {
    return false; // No package, or a broken one: not for us to mend.
  }
}
