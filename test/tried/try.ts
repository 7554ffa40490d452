/** Pushes an app by the real cf and by ours, and asks it; or pushes one that was broken on purpose, and reads what the push says. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Platform, until } from '../platform.ts';
import type { TriedApp, TriedDrill } from './list.ts';
import type { Push } from './results.ts';
import { applyEdits, layOut } from './sources.ts';

const run = promisify(execFile);
const BUFFER_BYTES = 256 * 1024 * 1024;
/** From the push's end, when an instance is healthy, to an answer with the text. */
const ANSWER_MS = 60_000;
/** Characters of a wrong answer. */
const ANSWER_SHOWN = 300;

export interface Tools {
  platform: Platform;
  /** Program of the real cf; null: only ours is tried. */
  cf: string | null;
  work: string;
  mirror: string | null;
}

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

const ended = (promise: Promise<{ stdout: string; stderr: string }>): Promise<Ended> =>
  promise.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );

const cfOf =
  ({ cf, work }: Tools) =>
  (args: string[], cwd = work): Promise<Ended> =>
    ended(
      run(cf ?? 'cf', args, {
        cwd,
        env: { ...process.env, CF_HOME: join(work, 'cf-home'), CF_STAGING_TIMEOUT: '15' },
        maxBuffer: BUFFER_BYTES,
      }),
    );

/** The real cf, logged in where our CLI is. */
export async function loginCf(tools: Tools): Promise<void> {
  await mkdir(join(tools.work, 'cf-home'), { recursive: true });
  const cf = cfOf(tools);
  await cf(['api', tools.platform.facts.api, '--skip-ssl-validation']);
  const { code, stdout } = await cf(['auth', 'admin', tools.platform.password()]);
  if (code !== 0) throw new Error(`cf auth: ${stdout}`);
  await cf(['target', '-o', 'cupola', '-s', 'dev']);
}

/** In JSON, which is YAML. */
async function manifestOf(
  app: TriedApp,
  name: string,
  { work, folder }: { work: string; folder: string },
): Promise<string> {
  if (app.manifest === 'own') return join(folder, 'manifest.yml');
  const file = join(work, `${name}.yml`);
  await writeFile(file, JSON.stringify({ applications: [{ name, path: folder, ...app.manifest }] }));
  return file;
}

export async function tryApp(app: TriedApp, tools: Tools): Promise<{ cf: Push | null; ours: Push }> {
  const folder = await layOut(app, tools);
  const cf = cfOf(tools);
  const byCf = async (name: string, manifest: string): Promise<Omit<Push, 'seconds'>> => {
    const { code, stdout, stderr } = await cf(['push', name, '-f', manifest], folder);
    return code === 0 ? { worked: true } : { worked: false, said: lastLines(`${stdout}\n${stderr}`) };
  };
  const byOurs = async (name: string, manifest: string): Promise<Omit<Push, 'seconds'>> => {
    const { code, stdout, stderr } = await ended(
      tools.platform.cupola(['push', name, '-f', manifest, '--json'], { cwd: folder }),
    );
    if (code === 0) return { worked: true };
    const { next: _, ...failure } = failureOf(stdout, stderr);
    return { worked: false, ...failure };
  };
  const pushed = async (name: string, push: typeof byCf): Promise<Push> => {
    const manifest = await manifestOf(app, name, { work: tools.work, folder });
    const start = performance.now();
    const result = await push(name, manifest);
    const seconds = Math.round((performance.now() - start) / 100) / 10;
    const answer = result.worked ? await answerOf(app, name, tools) : {};
    await ended(tools.platform.cupola(['delete', name, '-f', '-r']));
    return { seconds, ...result, ...answer };
  };
  const real = tools.cf === null ? null : await pushed(`${app.name}-cf`, byCf);
  return { cf: real, ours: await pushed(app.name, byOurs) };
}

/** What it answers at the path, or writes into its log, as soon as it is what it should be. */
async function answerOf(app: TriedApp, name: string, tools: Tools): Promise<Partial<Push>> {
  const seen = lookAt(app.expect, name, tools);
  let last = '';
  try {
    await until(
      `${name} answers`,
      async () => {
        const { isRight, text } = await seen();
        last = text;
        return isRight;
      },
      ANSWER_MS,
    );
    return {};
  } catch {
    return { worked: false, said: last.slice(0, ANSWER_SHOWN) };
  }
}

type Look = () => Promise<{ isRight: boolean; text: string }>;

function lookAt(expect: TriedApp['expect'], name: string, { platform }: Tools): Look {
  if ('log' in expect)
    return async () => {
      const { stdout } = await platform.cupola(['logs', name, '--recent']);
      return { isRight: stdout.includes(expect.log), text: `its log: ${stdout}` };
    };
  return async () => {
    const { body } = await platform.api('GET', `/v3/apps?names=${name}`);
    const [app] = (body as { resources: { guid: string }[] }).resources;
    const routes = await platform.api('GET', `/v3/apps/${app?.guid}/routes`);
    const host = (routes.body as { resources: { url: string }[] }).resources[0]?.url.split(/[:/]/)[0] ?? '';
    const { status, body: text } = await platform.ask(host, expect.path);
    const isRight = status === expect.status && text.includes(expect.text);
    return { isRight, text: `answers ${expect.path}: ${status} ${text}` };
  };
}

interface Cause {
  code: string;
  evidence: string | null;
  mend: string;
  next: string;
}

interface Failure {
  said: string;
  code?: string;
  /** The command to go on with. */
  next?: string;
}

const lastLines = (text: string): string =>
  text
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(-12)
    .join('\n');

function failureOf(stdout: string, stderr: string): Failure {
  try {
    const { error } = JSON.parse(stdout) as {
      error: { message: string; details?: string[]; cause?: Cause };
    };
    const { cause } = error;
    const said = [error.message, ...(error.details ?? []), cause?.evidence, cause?.mend].filter(Boolean).join('\n');
    return { said, ...(cause === undefined ? {} : { code: cause.code, next: cause.next }) };
  } catch {
    return { said: lastLines(`${stdout}\n${stderr}`) };
  }
}

export async function tryDrill(drill: TriedDrill, app: TriedApp, tools: Tools): Promise<Push> {
  const folder = await layOut(app, tools);
  await applyEdits(folder, drill.edits);
  const name = `drill-${drill.name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
  const own = app.manifest === 'own' ? {} : app.manifest;
  const manifest = await manifestOf({ ...app, manifest: { ...own, ...drill.manifest } }, name, {
    work: tools.work,
    folder,
  });
  const start = performance.now();
  const { code, stdout, stderr } = await ended(
    tools.platform.cupola(['push', name, '-f', manifest, '--json'], { cwd: folder }),
  );
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  await ended(tools.platform.cupola(['delete', name, '-f', '-r']));
  if (code === 0) return { seconds, worked: false, said: 'The push worked.' };
  const { next = '', ...failure } = failureOf(stdout, stderr);
  const isNamed = failure.code === drill.code && next === drill.next.replace('APP', name);
  const isShown = new RegExp(drill.shows).test(failure.said);
  return { seconds, worked: isNamed && isShown, ...failure, next: next.replace(name, 'APP') };
}
