/** Where builds must get through: registries and proxies that the operator's own tools are set to, if they have private addresses. */
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Hole } from './network-rules.ts';

const PROXY =
  /^(?:https?_proxy|all_proxy|npm_config_(?:https?_)?proxy|npm_config_registry|pip_(?:extra_)?index_url|uv_(?:index_url|default_index)|goproxy)$/i;
const DEFAULT_PORTS: Record<string, number> = { 'http:': 80, 'https:': 443, 'socks5:': 1080 };

/** URLs in the environment and in npm's user and global settings; values that are no URLs are passed over. Pure. */
export function operatorUrls(environment: NodeJS.ProcessEnv, npmrcs: string[]): URL[] {
  const named = Object.entries(environment).flatMap(([name, value]) =>
    PROXY.test(name) && value ? value.split(/[\s,|]+/) : [],
  );
  const inFiles = npmrcs
    .flatMap(text => text.split('\n'))
    .flatMap(line => /^\s*(?:(?:@[^:]+:)?registry|(?:https?-)?proxy)\s*=\s*"?([^"\s]+)"?/.exec(line)?.[1] ?? []);
  const candidates = [...named, ...inFiles].map(value => (/^[a-z0-9+]+:\/\//i.test(value) ? value : `http://${value}`));
  return candidates.flatMap(value => URL.parse(value) ?? []);
}

/** Holes for each of their addresses. A name that does not resolve has none. */
export async function operatorHoles(environment: NodeJS.ProcessEnv): Promise<Hole[]> {
  const files = [join(homedir(), '.npmrc'), '/etc/npmrc', '/usr/etc/npmrc'];
  const holes = await Promise.all(operatorUrls(environment, files.map(readOrEmpty)).map(holesOf));
  const all = new Map(holes.flat().map(hole => [`${hole.cidr}:${hole.port}`, hole]));
  return [...all.values()];
}

async function holesOf({ hostname, port, protocol }: URL): Promise<Hole[]> {
  const found = await lookup(hostname, { family: 4, all: true }).catch(() => []);
  return found.map(({ address }) => ({ cidr: address, port: Number(port) || (DEFAULT_PORTS[protocol] ?? 443) }));
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Not set.
  }
}
