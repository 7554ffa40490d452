/** npm drops platform packages that a registry lacks from the lock file without a word, and `npm ci` then fails elsewhere: every optional dependency must have an entry. */
import { readFileSync } from 'node:fs';

interface LockEntry {
  optionalDependencies?: Record<string, string>;
}
const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, LockEntry> };
const missing = Object.entries(packages).flatMap(([path, entry]) =>
  Object.keys(entry.optionalDependencies ?? {})
    .filter(name => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages))
    .map(name => `${path} wants ${name}`),
);
for (const line of missing) console.error(`package-lock.json has no entry: ${line}`);
process.exitCode = missing.length > 0 ? 1 : 0;
