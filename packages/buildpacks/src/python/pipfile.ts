/** Pipfile and Pipfile.lock as lines of a requirements file: pip installs them, and pipenv need not be fetched. Pure. */
import { type Table, tableIn, textIn, textsIn } from './toml.ts';

/** Packages of the app; those for development stay out. */
export function requirementsOfPipfile(pipfile: Table): string[] {
  const sources = Array.isArray(pipfile.source) ? (pipfile.source as Table[]) : [];
  return [...indexLines(sources), ...packageLines(tableIn(pipfile, 'packages'))];
}

/** With the hashes of the lock where every package has them: pip takes all or none. */
export function requirementsOfLock(lock: Table): string[] {
  const meta = tableIn(lock, '_meta');
  const sources = Array.isArray(meta.sources) ? (meta.sources as Table[]) : [];
  return [...indexLines(sources), ...packageLines(tableIn(lock, 'default'))];
}

/** The source that pipenv names `pypi` is the usual registry, which the operator may have set otherwise; what comes beside it is the app's own. */
function indexLines(sources: readonly Table[]): string[] {
  return sources.flatMap(source => {
    const url = textIn(source, 'url');
    return url === null || textIn(source, 'name') === 'pypi' ? [] : [`--extra-index-url ${url}`];
  });
}

function packageLines(packages: Table): string[] {
  const entries = Object.entries(packages);
  const allHashed = entries.every(
    ([, spec]) => typeof spec === 'object' && textsIn(spec as Table, 'hashes').length > 0,
  );
  return entries.map(([name, spec]) => {
    const path = textIn(tableIn({ spec }, 'spec'), 'path');
    if (path !== null) return path.startsWith('.') || path.startsWith('/') ? path : `./${path}`;
    if (typeof spec === 'string') return `${name}${versionOf(spec)}`;
    const table = tableIn({ spec }, 'spec');
    const extras = textsIn(table, 'extras');
    const full = extras.length === 0 ? name : `${name}[${extras.join(',')}]`;
    const markers = textIn(table, 'markers');
    const line = [
      `${full}${sourceOf(table)}`,
      ...(markers === null ? [] : [`; ${markers}`]),
      ...(allHashed ? textsIn(table, 'hashes').map(hash => `--hash=${hash}`) : []),
    ];
    return line.join(' ');
  });
}

const versionOf = (version: string): string => (version === '*' ? '' : version);

function sourceOf(table: Table): string {
  const git = textIn(table, 'git');
  if (git !== null) return ` @ git+${git}${table.ref === undefined ? '' : `@${String(table.ref)}`}`;
  const file = textIn(table, 'file');
  if (file !== null) return ` @ ${file}`;
  return versionOf(textIn(table, 'version') ?? '*');
}
