/** Which packages of a module are programs to build, and which of them answers requests. Pure. */

/** The module's path, as go.mod says it; empty where it does not. */
export function moduleName(goMod: string): string {
  return /^module\s+"?([^\s"]+)/m.exec(goMod)?.[1] ?? '';
}

/** Asked for by GO_INSTALL_PACKAGE_SPEC (CF, Heroku) or a line `// +heroku install ./cmd/...` of go.mod; empty: nobody asks. */
export function askedPackages(goMod: string, environment: Readonly<Record<string, string>>): string[] {
  const asked = environment.GO_INSTALL_PACKAGE_SPEC ?? /^\/\/ \+heroku install (.+)$/m.exec(goMod)?.[1] ?? '';
  // What begins with a hyphen would be an option of go.
  return asked.split(/\s+/).filter(word => word !== '' && !word.startsWith('-'));
}

/** The program at the module's root alone where there is one: what lies below may be tools. */
export function chosenPackages(mains: readonly string[], module: string): string[] {
  return mains.includes(module) ? [module] : [...mains];
}

/** A module's own name is the program's that lies at its root: its last element, or the one before a major version. */
export function webProgram(programs: readonly string[], module: string): string | null {
  const elements = module.split('/').filter(element => !/^v\d+$/.test(element));
  const names = [elements.at(-1) ?? '', 'web', 'server', 'app', 'api'];
  if (programs.length === 1) return programs[0] ?? null;
  return names.find(name => programs.includes(name)) ?? null;
}
