/**
 * Which files of a folder stay at home: cf's default list, then the lines of `.cfignore`. As in cf, every path is judged by itself against all lines, the
 * last that matches counts, and `!` takes back what an earlier line ignored, even below an ignored folder (git could not); a line without a slash at its
 * beginning matches at any depth, and what it names is ignored with all that lies below.
 */

/** CF: sharedaction.DefaultIgnoreLines. */
const DEFAULT_LINES = [
  '.cfignore',
  '.DS_Store',
  '.git',
  '.gitignore',
  '.hg',
  '.svn',
  '_darcs',
  'manifest.yaml',
  'manifest.yml',
];

export interface IgnoreRules {
  /** `path` is relative, with slashes; one at its end for a folder. */
  ignores(path: string): boolean;
  /** As `ignores`, of an entry called `name` whose folder is not ignored. */
  ignoresEntry(path: string, name: string): boolean;
  /** Nothing below an ignored folder can come back: a walk may leave it out whole. */
  readonly isFinal: boolean;
}

/** A name stands for itself wherever it lies in a path: most rules are names, and a set of them costs less than as many patterns. */
type Rule = { readonly negated: boolean } & ({ readonly name: string } | { readonly pattern: RegExp });

/** Rules that follow one another and say the same. */
interface Group {
  readonly negated: boolean;
  readonly names: Set<string>;
  readonly patterns: RegExp[];
}

/** `text` is the content of `.cfignore`; null when there is none. */
export function readIgnoreRules(text: string | null): IgnoreRules {
  const rules = [...DEFAULT_LINES, ...(text?.split('\n') ?? [])].flatMap(line => readRule(line) ?? []);
  const groups = groupsOf(rules);
  const judge = (path: string, parts: readonly string[]): boolean => {
    let ignored = false;
    for (const { negated, names, patterns } of groups)
      if (ignored === negated && (parts.some(part => names.has(part)) || patterns.some(pattern => pattern.test(path))))
        ignored = !negated;
    return ignored;
  };
  const isFinal = rules.every(({ negated }) => !negated);
  return {
    ignores: path => judge(path, path.split('/')),
    ignoresEntry: (path, name) => judge(path, isFinal ? [name] : path.split('/')),
    isFinal,
  };
}

function groupsOf(rules: readonly Rule[]): Group[] {
  const groups: Group[] = [];
  for (const rule of rules) {
    let group = groups.at(-1);
    if (group?.negated !== rule.negated) {
      group = { negated: rule.negated, names: new Set(), patterns: [] };
      groups.push(group);
    }
    if ('name' in rule) group.names.add(rule.name);
    else group.patterns.push(rule.pattern);
  }
  return groups;
}

function readRule(line: string): Rule | null {
  if (line.startsWith('#')) return null;
  let text = line.replace(/\r$/, '').replace(/^ +| +$/g, '');
  const negated = text.startsWith('!');
  if (negated) text = text.slice(1);
  if (text.startsWith('\\#') || text.startsWith('\\!')) text = text.slice(1);
  if (text === '' || text === '/') return null;
  if (!/[/*?[\\]/.test(text)) return { negated, name: text };
  const anchored = text.startsWith('/') && !text.startsWith('/**/');
  // `logs/` names a folder, never a file.
  const below = text.endsWith('/') ? '/.*$' : '(?:/.*)?$';
  const body = text.replace(/^\/+/, '').replace(/\/+$/, '');
  return { negated, pattern: new RegExp(`^${anchored ? '' : '(?:.*/)?'}${translate(body)}${below}`, 's') };
}

/** `**` crosses folders, `*` and `?` do not, `[...]` is a set, a backslash takes the next character as it is. */
function translate(glob: string): string {
  let out = '';
  for (let at = 0; at < glob.length; at++) {
    const char = glob[at] as string;
    if (glob.startsWith('**/', at)) {
      out += '(?:.*/)?';
      at += 2;
    } else if (glob.startsWith('/**', at) && at + 3 === glob.length) {
      out += '(?:/.*)?';
      at += 2;
    } else if (char === '*') {
      while (glob[at + 1] === '*') at++;
      out += '[^/]*';
    } else if (char === '?') out += '[^/]';
    else if (char === '[' && glob.indexOf(']', at + 2) > 0) {
      const end = glob.indexOf(']', at + 2);
      const set = glob.slice(at + 1, end).replace(/[\\^[]/g, found => (found === '^' ? '^' : `\\${found}`));
      out += `[${set.startsWith('!') ? `^${set.slice(1)}` : set}]`;
      at = end;
    } else if (char === '\\' && at + 1 < glob.length) out += literal(glob[++at] as string);
    else out += literal(char);
  }
  return out;
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/g, found => `\\${found}`);
}
