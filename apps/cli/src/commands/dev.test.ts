/** `cupola dev` as a user runs it: a process, in a folder that changes, against a fake Cloud Foundry that records every request. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Bench, type FakeCf, fakeCf, loggedIn, type Running, tarEntries } from '../fixtures.ts';

const CHANGES = 'POST /v3/apps/app-1/development/changes';
const APPLY = 'POST /v3/spaces/space-1/actions/apply_manifest';

/** The tars that were sent: text by name. */
function sent(cf: FakeCf): Record<string, string>[] {
  return cf.requests
    .filter(({ method, url }) => `${method} ${url.split('?')[0]}` === CHANGES)
    .map(({ body }) => Object.fromEntries(tarEntries(body).map(({ name, text }) => [name, text])));
}

/** Written elsewhere and moved: nobody sees half of it. */
function save(user: Bench, path: string, text: string): void {
  const elsewhere = join(user.home, 'saved');
  writeFileSync(elsewhere, text);
  renameSync(elsewhere, join(user.folder, path));
}

/** Pushed, and waiting for changes. */
async function developing(user: Bench, ...args: string[]): Promise<Running> {
  const running = user.start(['dev', 'web1', ...args]);
  await running.until(/Watching .*\n|"watching".*\n/);
  return running;
}

const APP = { 'package.json': '{"scripts":{"start":"node app.js"}}', 'app.js': '1', 'lib/a.js': 'a', 'lib/b.js': 'b' };

describe('dev', () => {
  test('pushes to an app of its own, brings changes over as they come, and deletes it at Ctrl-C', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({
      ...APP,
      'manifest.yml':
        'applications:\n- name: web1\n  instances: 4\n  memory: 64M\n  routes: [{route: a.b}]\n  services: [db]\n',
    });
    await using running = await developing(user);
    expect(running.printed()).toMatch(
      /^Developing web1-dev in cupola \/ dev$[\s\S]*Not taken from the manifest: routes, services \(db\)\. .*cupola bind-service web1-dev db/m,
    );
    expect(running.printed()).toMatch(/Watching .* \(4 files\)\. Ctrl-C ends it\. http:\/\/web1\.localhost:8080/);
    const applied = cf.requests.find(({ url }) => url.startsWith(APPLY.slice(5)));
    expect(applied?.url).toContain('app_guid=app-1');
    expect(JSON.parse(applied?.body.toString() ?? '')).toEqual({
      applications: [
        {
          ...{ name: 'web1-dev', memory: '64M', instances: 1, command: null, 'health-check-type': 'process' },
          ...{ env: { NODE_ENV: 'development' }, 'default-route': true },
        },
      ],
    });

    save(user, 'app.js', '2');
    await running.until(/app\.js: synced in \d+ ms, restarted\n/);
    rmSync(join(user.folder, 'lib/b.js'));
    await running.until(/removed lib\/b\.js: synced/);
    mkdirSync(join(user.folder, 'new/deep'), { recursive: true });
    save(user, 'new/deep/c.js', 'c');
    await running.until(/new\/deep\/c\.js: synced/);
    save(user, 'new/deep/d.js', 'd');
    await running.until(/new\/deep\/d\.js: synced/);
    renameSync(join(user.folder, 'new'), join(user.home, 'new'));
    await running.until(/removed new\/deep\/c\.js, new\/deep\/d\.js: synced/);
    const tars = sent(cf);
    expect(tars[0]).toEqual({ restart: '', 'files/': '', 'files/app.js': '2' });
    expect(tars.map(({ removed }) => removed).filter(Boolean)).toEqual(['lib/b.js\n', 'new\n']);
    expect(tars).toContainEqual({ restart: '', 'files/': '', 'files/new/deep/d.js': 'd' });
    expect(cf.requests.find(({ url }) => url.includes('development/changes'))?.url).toContain('droplet_guid=droplet-1');

    running.kill('SIGINT');
    await running.until(/web1-dev is deleted\.\n/);
    expect(await running.ended).toBe(130);
    expect(cf.log().filter(call => call.startsWith('DELETE'))).toEqual(['DELETE /v3/apps/app-1/development']);
  });

  test('builds what a build reads; one that fails ends nothing, and the next change is another try', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write(APP);
    await using running = await developing(user, '--keep');
    cf.answer('GET /v3/builds/*', {
      body: { guid: 'build-1', state: 'FAILED', error: 'BuildpackCompileFailed - npm ci ended with 1' },
    });
    save(user, 'package.json', '{"scripts":{"start":"node app.js","x":"y"}}');
    await running.until(/needs a build: package\.json\n/);
    await running.until(/not pushed, web1-dev goes on as it was: Staging of web1-dev failed: .*npm ci ended with 1\n/);
    await running.until(/Save, and it is tried again\./);
    cf.answer('GET /v3/builds/*', { body: { guid: 'build-1', state: 'STAGED', droplet: { guid: 'droplet-1' } } });
    save(user, 'package.json', '{"scripts":{"start":"node app.js","x":"z"}}');
    await running.until(/needs a build: package\.json\n.*pushed in [\d.]+ s \(upload/);
    save(user, 'app.js', '2');
    await running.until(/app\.js: synced/);
    expect(sent(cf)).toHaveLength(1);
    running.kill('SIGTERM');
    await running.until(/web1-dev stays\. Go on: cupola dev\./);
    expect(await running.ended).toBe(130);
    expect(cf.log().filter(call => call.startsWith('DELETE'))).toEqual([]);
  });

  test('a change of the manifest, or of what stays at home, is a push; one that cannot be read is told', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write(APP);
    await using running = await developing(user);
    save(user, 'manifest.yml', 'applications: [');
    await running.until(/the manifest does not count as it is: .*manifest\.yml is not valid YAML/);
    save(user, 'manifest.yml', 'applications: [{name: web1, memory: 128M}]');
    await running.until(/needs a build: manifest\n.*pushed in/);
    save(user, '.cfignore', 'lib\n');
    await running.until(/needs a build: \.cfignore .*\n.*pushed in/);
    expect(
      cf.requests
        .filter(({ url }) => url.startsWith(APPLY.slice(5)))
        .at(-1)
        ?.body.toString(),
    ).toContain('128M');
  });

  test('a refused change is a push, and one that nobody answers is sent again', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write(APP);
    await using running = await developing(user);
    const refused = {
      errors: [{ code: 10008, title: 'CF-UnprocessableEntity', detail: 'The app has another droplet' }],
    };
    const taken = { sequence: 7, droplet_guid: 'droplet-1', files: 1, removed: 0, restart: true };
    cf.answer('POST /v3/apps/*/development/changes', { status: 422, body: refused });
    save(user, 'app.js', '2');
    await running.until(/needs a build: The app has another droplet\n.*pushed in/);
    cf.answer('GET /v3/apps/*/development', {
      body: {
        guid: 'app-1',
        name: 'x',
        user: null,
        expires_at: '',
        created_at: '',
        droplet_guid: 'droplet-1',
        sequence: 7,
        instances: [],
      },
    });
    cf.answer('POST /v3/apps/*/development/changes', { status: 502, body: {} }, { status: 201, body: taken });
    save(user, 'app.js', '3');
    await running.until(/not synced: .*502/);
    await running.until(/app\.js: sent; no instance runs to take it, see: cupola app web1-dev\n/);
    expect(sent(cf).slice(-2)).toEqual(Array(2).fill({ restart: '', 'files/': '', 'files/app.js': '3' }));
  });

  test('Ctrl-C in the middle of a push leaves nothing either', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write(APP);
    cf.answer('GET /v3/builds/*', { hang: true });
    await using running = user.start(['dev', 'web1']);
    await running.until(/Stage/);
    running.kill('SIGINT');
    await running.until(/web1-dev is deleted\.\n/);
    expect(await running.ended).toBe(130);
    await using pushing = user.start(['push', 'web1']);
    await pushing.until(/Stage/);
    pushing.kill('SIGINT');
    expect(await pushing.ended).toBe(130);
  });

  test('with --json each thing is one object a line; --no-restart never asks for a start', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write(APP);
    cf.logLines.push({ type: 'APP/PROC/WEB', instance: '0', text: 'hello' });
    await using running = await developing(user, '--json', '--no-restart');
    user.write({ 'app.js': '2', 'lib/new.js': 'n' });
    await running.until(/"synced".*"lib\/new\.js".*\n|"lib\/new\.js".*\n/);
    running.kill('SIGINT');
    expect(await running.ended).toBe(130);
    const lines = running
      .printed()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { type: string; restarted?: boolean });
    expect(lines.filter(({ type }) => type !== 'log').map(({ type }) => type)).toEqual([
      'pushed',
      'watching',
      ...lines.filter(({ type }) => type === 'synced').map(() => 'synced'),
      'ended',
    ]);
    expect(lines.filter(({ restarted }) => restarted === true)).toEqual([]);
  });

  test('what cannot be developed is refused with exit code 2, and a name that is an ordinary app with 1; nothing is pushed', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({
      'image.yml': 'applications: [{name: web1, docker: {image: a/b}}]',
      'two.yml': 'applications: [{name: one}, {name: two}]',
      'app.jar': 'x',
      empty: null,
    });
    const run = async (...args: string[]): Promise<[number, string]> => {
      const { code, stderr } = await user.run(['dev', ...args]);
      return [code, stderr];
    };
    const answers = await Promise.all([
      run('-f', 'image.yml'),
      run('-f', 'two.yml'),
      run('web1', '-p', 'app.jar'),
      run('web1', '-p', 'empty'),
    ]);
    expect(answers).toEqual([
      [2, expect.stringMatching(/runs an image.*\nPush it: cupola push NAME/)],
      [2, expect.stringMatching(/names one, two\.\nName one: cupola dev one/)],
      [2, expect.stringMatching(/is no folder.*\nPush it/)],
      [2, expect.stringMatching(/has no files to push/)],
    ]);
    const detail = 'web1-dev is an app already. Name yours otherwise: cupola dev --name NAME';
    const errors = [{ code: 10008, title: 'CF-UnprocessableEntity', detail }];
    cf.answer('POST /v3/development_apps', { status: 422, body: { errors } });
    expect(await run('web1')).toEqual([1, expect.stringMatching(/Name yours otherwise: cupola dev --name/)]);
    // That of the empty folder was made before it was looked into.
    expect(cf.log().filter(call => /DELETE|packages/.test(call))).toEqual(['DELETE /v3/apps/app-1/development']);
  });
});
