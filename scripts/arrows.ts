/**
 * Who may import whom, as docs/ARCHITECTURE.md draws it. Any other arrow between workspaces fails `npm run check`: packages never import an app, no app
 * imports another but control (wiring), and no adapter imports a sibling. Reads import statements as text; Node needs nothing more to resolve them.
 */
import { globSync, readFileSync } from 'node:fs';

const PACKAGES = [
  'model',
  'contract',
  'store',
  'queue',
  'blobs',
  'logs',
  'images',
  'sandbox',
  'archive',
  'buildpacks',
  'client',
  'push',
  'certificates',
  'redis',
  'process',
];
const without = (...names: string[]): string[] => PACKAGES.filter(name => !names.includes(name));

const MAY_IMPORT: Record<string, readonly string[]> = {
  'packages/model': [],
  'packages/contract': ['model'],
  'packages/archive': ['model'],
  'packages/store': ['model', 'archive'],
  'packages/process': [],
  'packages/redis': [],
  'packages/queue': ['model', 'archive', 'store', 'redis'],
  'packages/blobs': ['model', 'archive'],
  'packages/logs': ['model', 'archive', 'redis'],
  'packages/images': ['model', 'archive'],
  'packages/sandbox': ['model', 'archive'],
  'packages/buildpacks': ['model', 'archive'],
  'packages/client': ['contract', 'model'],
  'packages/push': ['client', 'contract', 'model', 'archive'],
  'packages/certificates': ['contract', 'model'],
  'apps/api': without('sandbox'),
  'apps/scheduler': without('sandbox'),
  'apps/stager': without('store'),
  'apps/agent': without('store'),
  'apps/router': without('store'),
  // Of images only how a registry is spoken to: `image push` goes from the user's machine, with the user's login.
  'apps/cli': [
    ...['client', 'contract', 'model', 'archive', 'push'],
    ...['errors', 'policy', 'push-layout', 'reference', 'repository', 'docker-login'].map(
      name => `images/registry/${name}`,
    ),
  ],
  // Of a push only which files stay at home: the rest of it is Node's.
  'apps/dashboard': ['client', 'contract', 'model', 'archive', 'push/files/ignore'],
  // Of images only which addresses may be dialled for somebody who has named them.
  'apps/git': [
    'client',
    'contract',
    'model',
    'archive',
    'push',
    'process',
    'images/registry/policy',
    'certificates/ssh-key',
  ],
  // The wiring of embedded mode: any package, and of apps their `start` only (docs/decisions/0001).
  'apps/control': [...PACKAGES, 'api/start', 'scheduler/start', 'stager/start', 'agent/start', 'git/start'],
};

/** Every forbidden arrow found under `root`, as `file: imports X`. Empty when all is well. */
export function forbiddenArrows(root: string): string[] {
  const found: string[] = [];
  for (const file of globSync('{apps,packages}/*/src/**/*.{ts,tsx,mjs}', { cwd: root })) {
    const folder = file.split('/').slice(0, 2).join('/');
    const own = folder.split('/')[1];
    const allowed = MAY_IMPORT[folder];
    if (allowed === undefined) found.push(`${file}: ${folder} is not in the table of scripts/arrows.ts`);
    const text = readFileSync(`${root}/${file}`, 'utf8');
    for (const [, target] of text.matchAll(/(?:from|import)\s*\(?\s*'@cupola\/([^']+)'/g)) {
      const name = String(target).split('/')[0] ?? '';
      if (name === own) continue;
      if (!allowed?.includes(name) && !allowed?.includes(String(target)))
        found.push(`${file}: imports @cupola/${target}`);
    }
    for (const [, target] of text.matchAll(/from '((?:\.\.\/)+[^']+)'/g)) {
      const depth = file.split('/').length - 4;
      if (String(target).split('../').length - 1 > depth) found.push(`${file}: leaves its workspace by ${target}`);
    }
  }
  return found;
}

if (import.meta.main) {
  const found = forbiddenArrows(process.cwd());
  for (const line of found) console.error(line);
  process.exitCode = found.length > 0 ? 1 : 0;
}
