/** Each drill is pushed by our CLI, many at once, to one platform; what it prints is held to what its maker needs to know. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type Platform, startPlatform, until } from '../platform.ts';
import { type Drill, STAGING_DRILLS, START_DRILLS } from './drills.ts';

interface Failed {
  error: {
    message: string;
    details: string[];
    cause: { code: string; evidence: string | null; mend: string; next: string; page: string };
  };
}

const IS_ROOT = process.getuid?.() === 0;
const possible = (drills: Drill[]): Drill[] => drills.filter(({ needsRoot }) => IS_ROOT || needsRoot !== true);
const appName = (drill: Drill): string => `drill-${drill.name.toLowerCase().replace(/[^a-z]+/g, '-')}`;

let platform: Platform;
let work: string;

function folderOf(name: string, files: Record<string, string>): string {
  const folder = join(work, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** What `cupola push --json` printed of a push that fails. */
async function failedPush(drill: Drill): Promise<Failed['error']> {
  const name = appName(drill);
  const memory = drill.flags.includes('-m') ? [] : ['-m', '64M'];
  const disk = drill.flags.includes('-k') ? [] : ['-k', '64M'];
  const ended = await platform
    .cupola(['push', name, '-p', folderOf(name, drill.files), '--json', ...memory, ...disk, ...drill.flags])
    .then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
  if (ended.code !== 1) throw new Error(`push ended with ${ended.code}: ${ended.stdout}\n${ended.stderr}`);
  return (JSON.parse(ended.stdout) as Failed).error;
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'cupola-drills-'));
  platform = await startPlatform();
  await platform.login();
  // What the machine has is to be the limit, not what an organization may use.
  const quotas = await platform.api('GET', '/v3/organization_quotas?names=default');
  const [quota] = (quotas.body as { resources: { guid: string }[] }).resources;
  await platform.api('PATCH', `/v3/organization_quotas/${quota?.guid}`, { apps: { total_memory_in_mb: null } });
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

describe.concurrent('a push says why, what shows it, and what to do next, of an app that', () => {
  test.for(
    possible([...START_DRILLS, ...STAGING_DRILLS]).map(drill => [`${drill.name} (${drill.code})`, drill] as const),
  )('%s', async ([, drill], { expect }) => {
    const { cause, message, details } = await failedPush(drill);
    expect([cause.code, cause.next]).toEqual([drill.code, drill.next.replace('APP', appName(drill))]);
    expect([message, cause.evidence, ...details].join('\n')).toMatch(drill.shows);
    expect(cause.page).toBe(`docs/errors/${drill.code}.md`);
  });

  test('writes an SQLite database into its own folder: it runs, and is told (files-not-kept)', async ({ expect }) => {
    const folder = folderOf('drill-database', {
      'package.json': JSON.stringify({ name: 'drill', scripts: { start: 'node server.js' } }),
      'server.js': `const { DatabaseSync } = require('node:sqlite');
        const db = new DatabaseSync('guests.db');
        db.exec('create table if not exists guests (name)');
        require('http').createServer((_, answer) => answer.end('hi')).listen(process.env.PORT);`,
    });
    const { stdout } = await platform.cupola(['push', 'drill-database', '-p', folder, '-m', '64M', '--json']);
    expect((JSON.parse(stdout) as { warning: unknown }).warning).toMatchObject({
      code: 'files-not-kept',
      evidence: expect.stringContaining('guests.db'),
    });
  });

  test('ends later, after it had been healthy: doctor tells it (ended)', async ({ expect }) => {
    const folder = folderOf('drill-ends', {
      'package.json': JSON.stringify({ name: 'drill', scripts: { start: 'node server.js' } }),
      'server.js': `require('http').createServer(({ url }, answer) => answer.end('hi', () => {
          if (url === '/end') { console.log('tired'); process.exit(0); }
        })).listen(process.env.PORT);`,
    });
    await platform.cupola(['push', 'drill-ends', '-p', folder, '-m', '64M']);
    const told = await until('doctor finds that it ended', async () => {
      // Each time it is started again at once, until it waits.
      void platform.ask('drill-ends.localhost', '/end').catch(() => undefined);
      return platform.cupola(['doctor', 'drill-ends', '--json']).then(
        () => null,
        (error: { stdout: string }) => JSON.parse(error.stdout) as { findings: unknown[] },
      );
    });
    expect(told.findings).toMatchObject([{ cause: { code: 'ended' }, says: expect.stringContaining('tired') }]);
  });

  test('is a new version that crashes: the rolling push is cancelled with its cause, and the old one serves', async ({
    expect,
  }) => {
    const files = (server: string) => ({
      'package.json': JSON.stringify({ name: 'drill', scripts: { start: 'node server.js' } }),
      'server.js': server,
    });
    const serves = "require('http').createServer((_, answer) => answer.end('the old one')).listen(process.env.PORT)";
    const push = ['push', 'drill-rolling', '-m', '64M', '--json', '-p'];
    await platform.cupola([...push, folderOf('drill-rolling', files(serves))]);
    const broken = folderOf('drill-rolling-broken', files("throw new RangeError('a broken release')"));
    const { stdout } = await platform.cupola([...push, broken, '--strategy', 'rolling']).catch(error => error);
    const { error } = JSON.parse(stdout) as Failed;
    expect(error.cause.code).toBe('crash');
    expect(error.message).toMatch(
      /RangeError: a broken release.*was cancelled.*former version of drill-rolling serves/,
    );
    expect((await platform.ask('drill-rolling.localhost')).body).toBe('the old one');
  });

  test('is over a quota: the refusal names it (quota-exceeded)', async ({ expect }) => {
    const quota = await platform.api('POST', '/v3/organization_quotas', {
      name: 'drill-small',
      apps: { total_memory_in_mb: 64 },
    });
    await platform.cupola(['create-org', 'drill-org']);
    const orgs = await platform.api('GET', '/v3/organizations?names=drill-org');
    const [organization] = (orgs.body as { resources: { guid: string }[] }).resources;
    await platform.api(
      'POST',
      `/v3/organization_quotas/${(quota.body as { guid: string }).guid}/relationships/organizations`,
      {
        data: [{ guid: organization?.guid }],
      },
    );
    await platform.cupola(['create-space', 'drill-space', '-o', 'drill-org']);
    const env = { CUPOLA_HOME: join(work, 'other-home') };
    const password = platform.password();
    await platform.cupola(['login', '-a', platform.facts.api, '-u', 'admin', '-o', 'drill-org', '-s', 'drill-space'], {
      env: { ...env, CUPOLA_PASSWORD: password },
    });
    const folder = folderOf('drill-quota', { 'a.txt': 'x' });
    const flags = ['-p', folder, '-m', '512M', '-b', 'binary_buildpack', '-c', 'sleep 1000', '--json'];
    const refused = await platform.cupola(['push', 'drill-quota', ...flags], { env }).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );
    expect((JSON.parse(refused) as Failed).error).toMatchObject({
      message: expect.stringContaining('drill-small'),
      cause: { code: 'quota-exceeded', next: 'cupola apps' },
    });
  });
});

test.skipIf(!IS_ROOT)(
  "the real cf's words carry the code too: in events and in a build's error",
  async ({ expect }) => {
    const wrongPort = START_DRILLS.find(({ code }) => code === 'wrong-port') as Drill;
    const apps = await platform.api('GET', `/v3/apps?names=${appName(wrongPort)}`);
    const [app] = (apps.body as { resources: { guid: string }[] }).resources;
    const events = await platform.api(
      'GET',
      `/v3/audit_events?target_guids=${app?.guid}&types=audit.app.process.crash`,
    );
    expect(JSON.stringify(events.body)).toContain('instead of 8080: it has to take the one in PORT) [wrong-port]');
    const builds = await platform.api('GET', '/v3/builds?states=FAILED');
    expect(JSON.stringify(builds.body)).toContain('[no-buildpack-fits]');
  },
);
