/** What was seen, kept in results.json, and docs/tried.md made of it. A later run replaces what it tries again and keeps the rest. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Push {
  seconds: number;
  /** An app: it answered what it should. A drill: the push named the right cause. */
  worked: boolean;
  /** Cause, by our CLI. */
  code?: string;
  /** What the push, or the app, said instead. */
  said?: string;
  /** Of a drill: the command that the push names to go on with, for an app called APP. */
  next?: string;
}

export interface AppResult {
  name: string;
  language: string;
  repository: string;
  commit: string;
  folder: string;
  files: number;
  asked: string;
  /** The cause that is expected, of an app that cannot run where this was made. */
  fails: string | null;
  note: string | null;
  cf: Push | null;
  ours: Push;
}

export interface DrillResult {
  name: string;
  repository: string;
  code: string;
  next: string;
  seconds: number;
  worked: boolean;
  said: string;
}

export interface Results {
  apps: AppResult[];
  drills: DrillResult[];
}

/** Characters of what a push says, in the table of drills. */
const DRILL_SHOWN = 250;
const FILE = join(import.meta.dirname, 'results.json');
const PAGE = join(import.meta.dirname, '../../docs/tried.md');

export async function readResults(): Promise<Results> {
  try {
    return JSON.parse(await readFile(FILE, 'utf8')) as Results;
  } catch {
    return { apps: [], drills: [] }; // The first run.
  }
}

/** What it said in one line: the rest is of that machine and that moment. */
export function inShort(push: Push): Push {
  if (push.said === undefined) return push;
  const lines = push.said.split('\n').filter(line => line.trim() !== '');
  const line = push.code === undefined ? lines.at(-1) : lines[0];
  return { ...push, said: line?.trim() ?? '' };
}

/** Those of `now` in place of those of the same name, in the order of `names`; what is no longer listed goes. */
export function merged<T extends { name: string }>(before: T[], now: T[], names: string[]): T[] {
  const all = new Map([...before, ...now].map(one => [one.name, one]));
  return names.flatMap(name => all.get(name) ?? []);
}

export async function writeResults(results: Results): Promise<void> {
  await writeFile(FILE, `${JSON.stringify(results, null, 2)}\n`);
  await writeFile(PAGE, pageOf(results));
}

const inCell = (text: string): string => text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();
const seconds = (push: Push | null): string =>
  push === null ? '' : `${push.seconds.toFixed(1)}${push.worked ? '' : ' ✗'}`;
const link = (repository: string, text = repository): string => `[${text}](https://github.com/${repository})`;

function outcome({ ours, cf, fails }: AppResult): string {
  if (fails !== null)
    return ours.code === fails ? `not here: [${fails}](errors/${fails}.md)` : `fails: ${ours.code ?? '?'}`;
  return ours.worked && (cf?.worked ?? true) ? 'answers' : `fails: ${ours.code ?? 'its answer'}`;
}

function pageOf({ apps, drills }: Results): string {
  const row = (app: AppResult): string => {
    const what = link(app.repository) + (app.folder === '.' ? '' : `, ${app.folder}`);
    return `| ${app.language} | ${what} | \`${app.commit.slice(0, 10)}\` | ${app.files} | ${seconds(app.cf)} | ${seconds(app.ours)} | ${outcome(app)} |`;
  };
  const remarks = apps.filter(({ note, ours }) => note !== null || !ours.worked);
  const remark = ({ repository, folder, note, ours, fails }: AppResult): string => {
    const said = ours.worked ? '' : ` Cupola says: «${inCell(ours.said ?? '')}»`;
    const name = folder === '.' ? repository : `${repository}, ${folder}`;
    return `- **${name}**${fails === null ? '' : ' (not here)'}: ${note ?? 'not explained yet.'}${said}`;
  };
  const answering = apps.filter(app => app.fails === null && app.ours.worked && (app.cf?.worked ?? true)).length;
  return `# Tried: apps that nobody here wrote

Made by \`node test/tried/run.mjs\` from test/tried/results.json; test/tried/README.md says how. ${apps.length} public apps, ${answering} of them answer. Each is pushed as its
repository has it, by the real cf (8.18.4) and then by \`cupola push\`, to a platform that was just started, and has to answer a text of its own at a path
of its own. Seconds are those of the whole push on a machine with two cores that did other work at the time, with nothing in the app's cache; the second push
sends no file again, which the first has sent.

| language | app | commit | files | cf push, s | cupola push, s | result |
|---|---|---|---|---|---|---|
${apps.map(row).join('\n')}

## What there is to say
${remarks.map(remark).join('\n')}

${drillsOf(drills)}`;
}

function drillsOf(drills: DrillResult[]): string {
  if (drills.length === 0) return '## Drills\nNone was run yet.\n';
  const row = ({ name, repository, code, next, worked, said, seconds: s }: DrillResult): string =>
    `| ${name} | ${link(repository)} | [${code}](errors/${code}.md) | ${worked ? `\`${next}\`` : 'another'} | ${inCell(said).slice(0, DRILL_SHOWN)} | ${s.toFixed(1)} |`;
  return `## Drills
The same apps, each broken in one way as people break them: the cause that \`cupola push\` has to name, the command that it names to go on with, and its
first line. ${drills.filter(({ worked }) => worked).length} of ${drills.length} are told as they should be. test/drills has those on apps made for it, one for each cause.

| what was done | to | cause | next | said | s |
|---|---|---|---|---|---|
${drills.map(row).join('\n')}
`;
}
