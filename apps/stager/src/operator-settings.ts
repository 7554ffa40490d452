/**
 * Where the operator's own pip, Go and Maven get packages: builds get them from the same places (docs/decisions, "what a build may know"). Addresses only,
 * never a login: any code of an app could read it. npm's settings are npm's to tell (npm-client.ts).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Variables of the tools that name registries, and what Go asks whom about. */
const SHARED_VARIABLES = [
  'PIP_INDEX_URL',
  'PIP_EXTRA_INDEX_URL',
  'PIP_TRUSTED_HOST',
  'PIP_PROXY',
  'UV_INDEX_URL',
  'UV_DEFAULT_INDEX',
  'GOPROXY',
  'GOSUMDB',
  'GONOSUMDB',
  'GOPRIVATE',
  'GONOPROXY',
  'GOINSECURE',
  'BUNDLE_MIRROR__ALL',
] as const;
const PIP_OPTIONS: Readonly<Record<string, string>> = {
  'index-url': 'PIP_INDEX_URL',
  'extra-index-url': 'PIP_EXTRA_INDEX_URL',
  'trusted-host': 'PIP_TRUSTED_HOST',
  proxy: 'PIP_PROXY',
};

export interface OperatorSettings {
  /** Defaults of build commands; what the app sets wins. */
  variables: Record<string, string>;
  /** Maven's settings file, without logins; null: none. */
  mavenSettings: string | null;
}

/** As they are now: some small files, read anew for each build. */
export function readOperatorSettings(environment: NodeJS.ProcessEnv, home: string): OperatorSettings {
  const pipFiles = ['/etc/pip.conf', join(home, '.pip/pip.conf'), join(home, '.config/pip/pip.conf')];
  const given = SHARED_VARIABLES.flatMap(name => {
    const value = environment[name] ?? '';
    return value === '' ? [] : [[name, withoutLogin(value)] as const];
  });
  const maven = readOrEmpty(join(home, '.m2/settings.xml'));
  return {
    variables: {
      ...Object.assign({}, ...pipFiles.map(file => pipVariables(readOrEmpty(file)))),
      ...goVariables(readOrEmpty(join(home, '.config/go/env'))),
      ...Object.fromEntries(given),
    },
    mavenSettings: maven === '' ? null : mavenWithoutLogins(maven),
  };
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Not set.
  }
}

/** A user and password in front of a host stay here. */
function withoutLogin(text: string): string {
  return text.replace(/(\w+:\/\/)[^/@\s|,]*@/g, '$1');
}

/** `[global]` and `[install]` of pip's settings. Pure. */
export function pipVariables(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  let section = '';
  for (const line of text.split('\n')) {
    section = /^\s*\[(\w+)\]/.exec(line)?.[1] ?? section;
    const [, option = '', value = ''] = /^([\w-]+)\s*[=:]\s*(\S.*?)\s*$/.exec(line) ?? [];
    const name = PIP_OPTIONS[option.replaceAll('_', '-')];
    if (name !== undefined && (section === 'global' || section === 'install')) found[name] = withoutLogin(value);
  }
  return found;
}

/** Lines of `go env -w`. Pure. */
export function goVariables(text: string): Record<string, string> {
  const shared: readonly string[] = SHARED_VARIABLES;
  return Object.fromEntries(
    text.split('\n').flatMap(line => {
      const [, name = '', value = ''] = /^(GO\w+)=(.+)$/.exec(line) ?? [];
      return shared.includes(name) ? [[name, withoutLogin(value)]] : [];
    }),
  );
}

/** Mirrors, proxies and profiles stay; servers, which are logins, and passwords of proxies go. Pure. */
export function mavenWithoutLogins(xml: string): string {
  const bare = xml
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/<servers>[\s\S]*?<\/servers>/g, '')
    .replace(/<(username|password|passphrase|privateKey)>[\s\S]*?<\/\1>/g, '');
  return withoutLogin(bare);
}
