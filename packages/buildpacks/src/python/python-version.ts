/** Which Python an app asks for, and whether one of this machine will do. Only major and minor count: patches of a distribution are its own. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { readToml, tableIn, textIn } from './toml.ts';

export interface PythonRange {
  /** Specifiers such as `>=3.9,<4` or `3.11`; null: the app does not say. */
  range: string | null;
  /** Where it stands; empty when nowhere. */
  from: string;
}

/** As Heroku and CF read it: `runtime.txt`, `.python-version`, the Pipfile, the lock of uv, `pyproject.toml`; the first that says something. */
export async function askedPython(app: string): Promise<PythonRange> {
  const firstLine = async (file: string): Promise<string> => {
    const text = await readFile(join(app, file), 'utf8').catch(() => '');
    const lines = text.split('\n').map(line => line.trim());
    return lines.find(line => line !== '' && !line.startsWith('#')) ?? '';
  };
  const runtime = await firstLine('runtime.txt');
  if (runtime.startsWith('python-')) return checked(runtime.slice('python-'.length), 'runtime.txt');
  const pinned = await firstLine('.python-version');
  if (pinned !== '') return checked(pinned.replace(/^(cpython-|python-)/, ''), '.python-version');
  // Beside a requirements.txt it is not what is installed from, and often old.
  const usesPipfile = !existsSync(join(app, 'requirements.txt'));
  const requires = tableIn(usesPipfile ? await readToml(app, 'Pipfile') : {}, 'requires');
  const ofPipfile = textIn(requires, 'python_full_version') ?? textIn(requires, 'python_version');
  if (ofPipfile !== null) return checked(ofPipfile, 'Pipfile');
  const project = await readToml(app, 'pyproject.toml');
  const ofProject =
    textIn(tableIn(project, 'project'), 'requires-python') ??
    textIn(tableIn(tableIn(tableIn(project, 'tool'), 'poetry'), 'dependencies'), 'python');
  return ofProject === null ? { range: null, from: '' } : checked(ofProject, 'pyproject.toml');
}

const CLAUSE = /^(===?|!=|~=|>=|<=|>|<|\^|~)?\s*v?(\d+)(?:\.(\d+|\*|x))?(?:\.(\d+|\*|x))?[\w.+-]*$/;

function checked(range: string, from: string): PythonRange {
  const isRange = clausesOf(range).every(clause => clause === '*' || CLAUSE.test(clause));
  if (isRange) return { range, from };
  throw new StagingFailedError(
    'BuildpackCompileFailed',
    `${from} asks for Python "${range.slice(0, 60)}", which is no version. Write one such as ${from === 'runtime.txt' ? 'python-3.11' : '3.11'}.`,
  );
}

const clausesOf = (range: string): string[] =>
  range
    .split(',')
    .map(clause => clause.trim())
    .filter(clause => clause !== '');

/** Whether Python 3.`minor` fulfils a range, whatever its patch. */
export function allowsMinor(range: string, minor: number): boolean {
  return clausesOf(range).every(clause => {
    const [, operator = '', major, second, patch] = CLAUSE.exec(clause) ?? [];
    if (major === undefined) return true;
    const isWhole = second === undefined || !/^\d+$/.test(second);
    // As one number, so that they compare: 3.11 is 3011.
    const asked = Number(major) * 1000 + (isWhole ? 0 : Number(second));
    const have = 3000 + minor;
    const hasPatch = patch !== undefined && /^\d+$/.test(patch);
    if (operator === '>=' || operator === '>') return operator === '>' && !hasPatch ? have > asked : have >= asked;
    if (operator === '<') return hasPatch && patch !== '0' ? have <= asked : have < asked;
    if (operator === '<=') return have <= asked;
    if (operator === '!=') return second === undefined || hasPatch || have !== asked;
    if (operator === '^' || (operator === '~=' && !hasPatch))
      return have >= asked && Math.floor(have / 1000) === Number(major);
    return isWhole ? Math.floor(have / 1000) === Number(major) : have === asked;
  });
}

export interface Interpreter {
  path: string;
  /** `3.11` is 11. */
  minor: number;
}

/** The one to use: the distribution's own where it fits, since its packages go with it; else the newest that fits; null when none does. */
export function chooseInterpreter(
  range: string | null,
  { all, preferredMinor }: { all: readonly Interpreter[]; preferredMinor: number | null },
): Interpreter | null {
  const fitting = all.filter(({ minor }) => range === null || allowsMinor(range, minor));
  const own = fitting.find(({ minor }) => minor === preferredMinor);
  return own ?? fitting.toSorted((a, b) => b.minor - a.minor)[0] ?? null;
}

/** What to write where the app asks for a Python that is not here. */
export function missingPython({ range, from }: PythonRange, all: readonly Interpreter[]): StagingFailedError {
  const here = all.map(({ minor }) => `3.${minor}`).join(', ');
  const exact = /^\D*(3\.\d+)/.exec(range ?? '')?.[1] ?? '3';
  const install = `As root: apt-get install python${exact} python${exact}-venv; then push again.`;
  return new StagingFailedError(
    'BuildpackCompileFailed',
    range === null || all.length === 0
      ? 'Python is not on this machine. As root: apt-get install python3 python3-venv; then push again.'
      : `Python ${range} (by ${from}) is not on this machine, which has ${here}. Ask for one of these in ${from}, or install it. ${install}`,
  );
}
