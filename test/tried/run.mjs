/**
 * `node test/tried/run.mjs [--list FILE] [--sources FOLDER] [--cf PROGRAM] [--only NAME]... [--drills]`: pushes the public apps of apps.json, by the real
 * cf and by ours, and writes what was seen into results.json beside and docs/tried.md. README.md says more.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPlatform } from '../platform.ts';
import { readList } from './list.ts';
import { inShort, merged, readResults, writeResults } from './results.ts';
import { loginCf, tryApp, tryDrill } from './try.ts';

const { values } = parseArgs({
  options: {
    list: { type: 'string', default: join(import.meta.dirname, 'apps.json') },
    sources: { type: 'string' },
    cf: { type: 'string' },
    only: { type: 'string', multiple: true, default: [] },
    drills: { type: 'boolean', default: false },
  },
});
const { apps, drills } = await readList(values.list);
/** @type {<T extends { name: string }>(all: T[]) => T[]} */
const chosen = all => (values.only.length === 0 ? all : all.filter(({ name }) => values.only.includes(name)));
const work = mkdtempSync(join(tmpdir(), 'cupola-tried-'));
await using platform = await startPlatform();
await platform.login();
const tools = { platform, cf: values.cf ?? null, work, mirror: values.sources ?? null };
const failed = [];
// Asked to stop, it leaves no platform behind.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM']))
  process.once(signal, async () => {
    await platform[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true });
    process.exit(1);
  });

/** @param {string} name @param {import('./results.ts').Push | null} push */
function tell(name, push) {
  if (push === null) return;
  console.log(`${push.worked ? 'ok  ' : 'FAIL'} ${name}, ${push.seconds} s${push.code ? ` [${push.code}]` : ''}`);
  if (!push.worked) console.log(push.said?.replace(/^/gm, '       '));
}

async function tryApps() {
  if (tools.cf !== null) await loginCf(tools);
  for (const app of chosen(apps)) {
    const { cf, ours } = await tryApp(app, tools);
    tell(`${app.name} by cf`, cf);
    tell(`${app.name} by cupola`, ours);
    const right = app.fails === undefined ? ours.worked && (cf?.worked ?? true) : ours.code === app.fails;
    if (!right) failed.push(app.name);
    const { name, language, repository, commit, folder, expect, fails = null, note = null } = app;
    const files = readdirSync(join(work, name), { recursive: true, withFileTypes: true });
    const count = files.filter(entry => !entry.isDirectory()).length;
    const asked = 'log' in expect ? expect.log : `${expect.path}: ${expect.text}`;
    const pushes = { cf: cf === null ? null : inShort(cf), ours: inShort(ours) };
    const result = { name, language, repository, commit, folder, files: count, asked, fails, note, ...pushes };
    const before = await readResults();
    await writeResults({
      ...before,
      apps: merged(
        before.apps,
        [result],
        apps.map(({ name: one }) => one),
      ),
    });
    rmSync(join(work, name), { recursive: true, force: true });
  }
}

async function tryDrills() {
  for (const drill of chosen(drills)) {
    const app = apps.find(({ name }) => name === drill.app);
    if (app === undefined) throw new Error(`no app ${drill.app} in the list`);
    const push = await tryDrill(drill, app, tools);
    tell(`${drill.name} (${drill.code})`, push);
    if (!push.worked) failed.push(drill.name);
    const { seconds, worked, said = '', next = '' } = inShort(push);
    const result = { name: drill.name, repository: app.repository, code: drill.code, next, seconds, worked, said };
    const before = await readResults();
    await writeResults({
      ...before,
      drills: merged(
        before.drills,
        [result],
        drills.map(({ name }) => name),
      ),
    });
  }
}

try {
  await (values.drills ? tryDrills() : tryApps());
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(failed.length === 0 ? 'All as expected.' : `Not as expected: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
