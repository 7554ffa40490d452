/** Pushes by git, with the real client and the CLI's credential helper: what is deployed, what is refused and why, and what serves meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startForge, type TestForge } from '../apps/git/src/fetches/forge-fixture.ts';
import { type SshForge, startSshForge } from '../apps/git/src/fetches/ssh-forge-fixture.ts';
import { openGit } from '../apps/git/src/git-process.ts';
import { PARTS, type Platform, run, startPlatform, until } from './platform.ts';

interface Pushed {
  code: number;
  output: string;
}

/** A user's machine: nothing of the machine's own git settings counts. */
const environment = (home: string): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: home,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
});

describe('git push', () => {
  let platform: Platform;
  let work: string;
  let forge: TestForge;
  let sshForge: SshForge;
  let forgeFolder: string;
  let app: string;
  let environmentOfUser: Record<string, string>;

  const begin = (args: readonly string[], cwd = app): { child: ChildProcess; over: Promise<Pushed> } => {
    const child = spawn('git', args, {
      cwd,
      env: environmentOfUser,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    const over = new Promise<Pushed>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', code => resolve({ code: code ?? -1, output }));
    });
    return { child, over };
  };
  const git = (args: readonly string[], cwd = app): Promise<Pushed> => begin(args, cwd).over;
  const must = async (args: readonly string[], cwd = app): Promise<string> => {
    const { code, output } = await git(args, cwd);
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${output}`);
    return output;
  };
  const write = (files: Record<string, string>): void => {
    for (const [path, content] of Object.entries(files)) writeFileSync(join(app, path), content);
  };
  const commit = async (message: string): Promise<void> => {
    await must(['add', '--all']);
    await must(['commit', '--quiet', '--allow-empty', '--message', message]);
  };
  const server = (says: string): string =>
    `require('node:http').createServer((q, r) => r.end(${JSON.stringify(says)})).listen(process.env.PORT);\n`;
  /** Long in coming up: what serves is the old version meanwhile. */
  const slowServer = (says: string): string => `setTimeout(() => { ${server(says).trim()} }, 40_000);\n`;
  /** Resolves once the new version is being started. */
  const starting = (child: ChildProcess): Promise<void> =>
    new Promise(resolve => {
      let said = '';
      child.stderr?.on('data', (text: string) => {
        said += text;
        if (said.includes('Staged')) resolve();
      });
    });
  const serving = async (): Promise<string> => (await platform.ask('shop.localhost')).body;
  /** Back to what serves, whatever a test has committed. */
  const restore = (): Promise<string> => must(['reset', '--quiet', '--hard', 'cupola/main']);

  beforeAll(async () => {
    forgeFolder = mkdtempSync(join(tmpdir(), 'cupola-forge-'));
    const git = openGit({ folder: forgeFolder, hooks: forgeFolder });
    work = mkdtempSync(join(tmpdir(), 'cupola-git-test-'));
    forge = await startForge(git, { root: join(work, 'forge'), user: 'deployer', token: 'forge-token' });
    sshForge = await startSshForge(git, join(work, 'forge'));
    const hosts = `http://${forge.host},${sshForge.host}`;
    platform = await startPlatform([], { ssh: true, env: { CUPOLA_GIT_HOSTS: hosts } });
    await platform.login();
    environmentOfUser = environment(work);
    app = join(work, 'shop');
    mkdirSync(app);
    write({
      'package.json': JSON.stringify({ name: 'shop', scripts: { start: 'node server.js' } }),
      'manifest.yml': 'applications:\n- name: shop\n  memory: 64M\n  env: { GREETING: hello }\n',
      'server.js': server('one'),
    });
    await must(['init', '--quiet', '--initial-branch=main']);
    await commit('one');
    await platform.cupola(['git:remote'], { cwd: app });
  });
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
    await forge[Symbol.asyncDispose]();
    await sshForge[Symbol.asyncDispose]();
    for (const folder of [work, forgeFolder]) rmSync(folder, { recursive: true, force: true });
  });

  test('at rest no process receives pushes, but in a cluster, where one is there for it', async () => {
    const { parts } = await platform.status();
    expect(parts.map(({ name }) => name)).toEqual(PARTS);
  });

  test('the first push makes the app, as its manifest says, without a password, and ends with URL and seconds', async () => {
    const output = await must(['push', 'cupola', 'main']);
    expect(output).toMatch(/remote: main [0-9a-f]{8} for shop in cupola \/ dev/);
    expect(output).toMatch(/remote: Uploaded 2 files/);
    expect(output).toMatch(/remote: Staged \([\d.]+ s\)/);
    expect(output).toMatch(/remote: shop runs: done in [\d.]+ s \(upload .*, stage .*, start .*\)/);
    expect(output).toContain(`remote: http://shop.localhost:${platform.facts.port}`);
    expect(await serving()).toBe('one');
    expect((await platform.cupola(['env', 'shop'])).stdout).toContain('GREETING: hello');
    expect((await platform.cupola(['git:config', 'shop', '--json'])).stdout).toContain('"branch":"main"');
  });

  test('a second one replaces it without a dropped request', async () => {
    write({ 'server.js': server('two') });
    await commit('two');
    const asked: string[] = [];
    const pushing = begin(['push', 'cupola', 'main']).over;
    let isOver = false;
    void pushing.then(() => {
      isOver = true;
    });
    while (!isOver) asked.push(await serving());
    expect(await pushing).toMatchObject({ code: 0 });
    expect(asked.filter(body => body !== 'one' && body !== 'two')).toEqual([]);
    expect(await serving()).toBe('two');
  });

  test('a build that fails refuses the push, with cause and next step; the old version serves, and the branch has not moved', async () => {
    await must(['rm', '--quiet', 'package.json', 'server.js']);
    write({ 'notes.txt': 'nothing to run' });
    await commit('broken');
    const { code, output } = await git(['push', 'cupola', 'main']);
    expect(code).toBe(1);
    expect(output).toMatch(/remote: Staging of shop failed/);
    expect(output).toMatch(/remote: Next: /);
    expect(output).toMatch(/remote: The push is refused: shop stays as it was/);
    expect(output).toMatch(/\[remote rejected\] main -> main \(pre-receive hook declined\)/);
    expect(output).not.toContain(platform.data);
    expect(await serving()).toBe('two');
    await restore();
  });

  test('a version that does not start is taken back, and refused', async () => {
    write({ 'server.js': "console.error('no database'); process.exit(3);\n" });
    await commit('unhealthy');
    const { code, output } = await git(['push', 'cupola', 'main']);
    expect(code).toBe(1);
    expect(output).toMatch(/remote: .*The deployment was cancelled, and the former version of shop serves/);
    expect(output).toContain('no database');
    expect(await serving()).toBe('two');
    await restore();
  });

  test('it is told, and the branch moves, where the app is set so', async () => {
    await platform.cupola(['git:config', 'shop', '--on-failure', 'report']);
    write({ 'manifest.yml': 'applications: [' });
    await commit('bad manifest');
    const { code, output } = await git(['push', 'cupola', 'main']);
    expect(output).toMatch(/remote: manifest.yml is not valid YAML/);
    expect(code).toBe(0);
    await platform.cupola(['git:config', 'shop', '--on-failure', 'refuse']);
    await must(['reset', '--quiet', '--hard', 'HEAD~1']);
    expect(await must(['push', '--force', 'cupola', 'main'])).toMatch(/forced update/);
    expect(await serving()).toBe('two');
  });

  test('other branches and tags are kept, and deploy nothing; the branch that runs is not removed', async () => {
    const other = await must(['push', 'cupola', 'main:try', 'HEAD:refs/tags/v1']);
    expect(other).toMatch(/remote: try is kept here, and not deployed: shop deploys main/);
    expect(other).toMatch(/remote: Tag v1 is kept here/);
    expect(other).not.toMatch(/Staging/);
    expect(await must(['push', 'cupola', '--delete', 'try'])).toMatch(/\[deleted\]/);
    const removed = await git(['push', 'cupola', '--delete', 'main']);
    expect(removed.code).toBe(1);
    expect(removed.output).toMatch(/remote: main is the branch that shop runs/);
    expect(await must(['ls-remote', 'cupola'])).toMatch(/refs\/tags\/v1/);
  });

  test('another branch is a preview beside the app where that is switched on, and ends with its branch', async () => {
    await platform.cupola(['set-env', 'shop', 'PASSWORD', 'canary']);
    await platform.cupola(['git:config', 'shop', '--previews', 'on', '--preview-variables', 'REGION']);
    write({
      'manifest.yml':
        'applications:\n- name: shop\n  memory: 64M\n  instances: 2\n  routes: [{ route: shop.localhost }]\n  services: [orders]\n  env: { GREETING: preview }\n',
      'server.js': server('preview'),
    });
    await commit('preview');
    const blob = (await pipeTo(['hash-object', '-w', '--stdin'], 'applications: [')).trim();
    const tree = (await pipeTo(['mktree'], `100644 blob ${blob}\tmanifest.yml\n`)).trim();
    const bad = (await must(['commit-tree', tree, '-m', 'bad'])).trim();
    const refused = await git(['push', 'cupola', `${bad}:refs/heads/bad`]);
    expect(refused.output).toMatch(/remote: The push is refused: shop-bad stays as it was/);
    expect(refused.code).toBe(1);
    // Of two, one of which runs by then, git can refuse none alone.
    const output = await must(['push', 'cupola', 'HEAD:refs/heads/fix/login', `${bad}:refs/heads/wrong`]);
    expect(output).toMatch(/remote: shop-wrong stays as it was\. git keeps the push all the same/);
    const [, name = ''] = /remote: fix\/login is a preview of shop: (shop-fix-login-[a-z0-9]{7})/.exec(output) ?? [];
    expect(output).toContain(`remote: http://${name}.localhost:${platform.facts.port}`);
    expect((await platform.ask(`${name}.localhost`)).body).toBe('preview');
    expect(await serving()).toBe('two');
    const { stdout: variables } = await platform.cupola(['env', name]);
    expect(variables).toContain('GREETING: preview');
    expect(variables).not.toContain('canary');
    expect((await platform.cupola(['git:previews', 'shop'])).stdout).toContain(name);
    const removed = await must(['push', 'cupola', '--delete', 'fix/login', 'wrong']);
    expect(removed).toContain(`remote: ${name} is deleted with it.`);
    expect(removed).toContain('remote: shop-wrong is deleted with it.');
    await platform.cupola(['git:previews', 'shop', '--delete', 'bad']);
    expect((await platform.cupola(['git:previews', 'shop'])).stdout).toMatch(/No previews/);
    await until('its route is gone', async () => (await platform.ask(`${name}.localhost`)).status === 404);
    await platform.cupola(['git:config', 'shop', '--previews', 'off']);
    await restore();
  });

  test('submodules are refused, unless their folders may stay empty', async () => {
    const head = (await must(['rev-parse', 'HEAD'])).trim();
    await must(['update-index', '--add', '--cacheinfo', `160000,${head},vendor/lib`]);
    await must(['commit', '--quiet', '--message', 'submodule']);
    const refused = await git(['push', 'cupola', 'main']);
    expect(refused.code).toBe(1);
    expect(refused.output).toMatch(/remote: The tree has submodules, which are not fetched: vendor\/lib\./);
    await platform.cupola(['git:config', 'shop', '--submodules', 'skip']);
    expect(await must(['push', 'cupola', 'main'])).toMatch(
      /remote: Left empty, since they are submodules: vendor\/lib/,
    );
  });

  test('LFS pointers, links that lead out, a manifest that leads out, and names of git’s own are refused by name', async () => {
    const refusedFor = async (says: RegExp): Promise<void> => {
      await must(['commit', '--quiet', '--message', 'bad']);
      const { code, output } = await git(['push', 'cupola', 'main']);
      expect(output).toMatch(says);
      expect(code).toBe(1);
      await restore();
    };
    const oid = 'a'.repeat(64);
    write({ 'logo.png': `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 12345\n` });
    await must(['add', 'logo.png']);
    await refusedFor(/remote: The tree has Git LFS pointers in the place of files: logo\.png/);
    symlinkSync('../../etc/passwd', join(app, 'way-out'));
    await must(['add', 'way-out']);
    await refusedFor(/remote: The tree cannot be deployed: .*way-out.*link out/);
    write({ 'manifest.yml': 'applications:\n- name: shop\n  path: ../..\n' });
    await must(['add', 'manifest.yml']);
    await refusedFor(/remote: "path" of shop leads out of the tree/);
    const blob = (await must(['hash-object', '-w', 'server.js'])).trim();
    const inner = (await pipeTo(['mktree'], `100644 blob ${blob}\tconfig\n`)).trim();
    const tree = (await pipeTo(['mktree'], `040000 tree ${inner}\t.git\n`)).trim();
    const bad = (await must(['commit-tree', tree, '-m', 'hooks', '-p', 'HEAD'])).trim();
    const { code, output } = await git(['push', '--force', 'cupola', `${bad}:main`]);
    expect(code).toBe(1);
    expect(output).toMatch(/hasDotgit/);
    expect(await serving()).toBe('two');
  });

  async function pipeTo(args: readonly string[], input: string): Promise<string> {
    const child = spawn('git', args, { cwd: app, env: environmentOfUser, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(input);
    let output = '';
    for await (const text of child.stdout.setEncoding('utf8')) output += text;
    return output;
  }

  test('who has no password, no role, or nothing to do there is told so before a byte is read', async () => {
    const url = (user: string, password: string): string =>
      `${platform.facts.api.replace('://', `://${user}:${password}@`)}/git/cupola/dev/shop.git`;
    await platform.cupola(['create-user', 'auditor', 'secret-one']);
    await platform.cupola(['create-user', 'stranger', 'secret-two']);
    await platform.cupola(['set-role', 'auditor', 'SpaceAuditor', '--space', 'dev']);
    const push = (to: string): Promise<Pushed> => git(['-c', 'credential.helper=', 'push', to, 'main']);
    const [wrong, none, seen, hidden] = await Promise.all([
      push(url('admin', 'wrong')),
      push(url('', '').replace('://:@', '://')),
      push(url('auditor', 'secret-one')),
      push(url('stranger', 'secret-two')),
    ]);
    expect(wrong.output).toMatch(/Authentication failed|The user name, the password or the token is wrong/);
    expect(none.output).toMatch(/could not read Username|Authentication failed/);
    expect(seen.output).toMatch(/remote: You may not push to cupola\/dev/);
    expect(hidden.output).toMatch(/remote: There is no space cupola\/dev, or you have no role in it/);
    expect([wrong.code, none.code, seen.code, hidden.code].every(code => code !== 0)).toBe(true);
    expect((await push(url('admin', platform.password()))).code).toBe(0);
  });

  test('of two at once the newer wins; the older says so', async () => {
    write({ 'server.js': slowServer('older') });
    await commit('older');
    const older = begin(['push', 'cupola', 'main']);
    await starting(older.child);
    write({ 'server.js': server('newer') });
    await commit('newer');
    const newer = git(['push', 'cupola', 'main']);
    expect((await older.over).output).toMatch(/remote: A newer push to shop has come/);
    expect((await newer).code).toBe(0);
    expect(await serving()).toBe('newer');
  });

  test('a push that is interrupted changes nothing, and the next one goes through', async () => {
    write({ 'server.js': slowServer('interrupted') });
    await commit('interrupted');
    const { child, over } = begin(['push', 'cupola', 'main']);
    await starting(child);
    // As Ctrl-C does: git and what it has started.
    process.kill(-(child.pid ?? 0), 'SIGINT');
    await over;
    const branch = (await must(['ls-remote', 'cupola', 'refs/heads/main'])).slice(0, 40);
    expect(branch).toBe((await must(['rev-parse', 'HEAD~1'])).trim());
    expect(await serving()).toBe('newer');
    write({ 'server.js': server('after') });
    await commit('after');
    await must(['push', 'cupola', 'main']);
    expect(await serving()).toBe('after');
  });

  test('a shallow clone, as CI has it, is pushed to an app of its own; a large tree goes through', async () => {
    const clone = join(work, 'clone');
    await must(['clone', '--quiet', '--depth', '1', `file://${app}`, clone], work);
    await must(['rm', '--quiet', '--cached', 'vendor/lib'], clone);
    mkdirSync(join(clone, 'data'));
    for (let index = 0; index < 2_000; index++) writeFileSync(join(clone, 'data', `${index}.txt`), `${index}\n`);
    writeFileSync(join(clone, 'blob.bin'), randomBytes(24 * 1024 * 1024));
    await must(['add', '--all'], clone);
    await must(['commit', '--quiet', '--message', 'large'], clone);
    await platform.cupola(['git:remote', 'large', '--remote', 'large'], { cwd: clone });
    const output = await must(['push', 'large', 'HEAD:main'], clone);
    expect(output).toMatch(/remote: Uploaded \d+ (of \d+ )?files/);
  });

  test('when its process is killed in the middle the push fails, and the next one starts another', async () => {
    write({ 'server.js': slowServer('killed') });
    await commit('killed');
    const { child, over } = begin(['push', 'cupola', 'main']);
    await starting(child);
    process.kill(await platform.pidOf('git'), 'SIGKILL');
    expect((await over).code).not.toBe(0);
    expect(await serving()).toBe('after');
    write({ 'server.js': server('again') });
    await commit('again');
    await until('a push goes through', async () => (await git(['push', 'cupola', 'main'])).code === 0, 180_000);
    expect(await serving()).toBe('again');
  });

  test('over SSH by a key of the user: a push, and nothing else; a key that was removed opens nothing', async () => {
    const key = join(work, 'key');
    for (const name of ['key', 'other'])
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', `ada@${name}`, '-f', join(work, name)]);
    await platform.cupola(['ssh-keys', 'add', `${key}.pub`]);
    expect((await platform.cupola(['ssh-keys', 'list'])).stdout).toMatch(/ada@key +ssh-ed25519 +SHA256:/);
    await platform.cupola(['git:remote', 'shop', '--remote', 'ssh', '--ssh'], { cwd: app });
    const options = [
      '-F',
      '/dev/null',
      '-o',
      'StrictHostKeyChecking=accept-new',
      '-o',
      'IdentitiesOnly=yes',
      '-o',
      'BatchMode=yes',
    ];
    const by = (name: string): string[] => [
      ...options,
      '-o',
      `UserKnownHostsFile=${join(work, 'hosts')}`,
      '-i',
      join(work, name),
    ];
    const push = (name: string): Promise<Pushed> =>
      git(['-c', `core.sshCommand=ssh ${by(name).join(' ')}`, 'push', 'ssh', 'main']);
    write({ 'server.js': server('by ssh') });
    await commit('by ssh');
    const pushed = await push('key');
    expect(pushed.output).toMatch(/remote: shop runs: done in/);
    expect(pushed.code).toBe(0);
    expect(await serving()).toBe('by ssh');
    const { port } = new URL((await must(['remote', 'get-url', 'ssh'])).trim());
    const ssh = (...args: string[]): Promise<Pushed> =>
      run('ssh', [...by('key'), '-p', port, 'git@localhost', ...args]).then(
        ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
        ({ code, stdout, stderr }) => ({ code, output: stdout + stderr }),
      );
    expect(await ssh()).toMatchObject({ code: 1, output: expect.stringContaining('There is no shell here') });
    expect(await ssh('id')).toMatchObject({ code: 1, output: expect.stringContaining('Only git is served here') });
    expect((await ssh("git-receive-pack '/cupola/dev/../../etc/x'; id")).output).toContain('Only git is served here');
    expect((await ssh('-W', 'localhost:22')).code).not.toBe(0);
    expect((await push('other')).output).toMatch(/Permission denied \(publickey\)/);
    await platform.cupola(['ssh-keys', 'remove', 'ada@key']);
    expect((await push('key')).output).toMatch(/Permission denied \(publickey\)/);
  });

  test("a git server of one's own hands on what is pushed there, by the hook that the CLI prints", async () => {
    const own = join(work, 'own.git');
    await must(['init', '--quiet', '--bare', own], work);
    const { stdout: hook } = await platform.cupola(['git:hook', 'shop']);
    writeFileSync(join(own, 'hooks/post-receive'), hook, { mode: 0o755 });
    write({ 'server.js': server('by hook') });
    await commit('by hook');
    expect((await git(['push', own, 'main'])).output).toMatch(
      /remote: Not deployed: write user name and password into/,
    );
    writeFileSync(join(work, '.cupola-login'), `admin\n${platform.password()}\n`, { mode: 0o600 });
    await must(['commit', '--quiet', '--allow-empty', '--message', 'again']);
    const { output } = await git(['push', own, 'main', 'HEAD:refs/heads/other']);
    expect(output).toMatch(/remote: remote: shop runs: done in/);
    expect(await serving()).toBe('by hook');
  });

  test("a forge's push event deploys, shows how it went beside the commit, and counts once", async () => {
    const bare = join(work, 'forge', 'team', 'shop.git');
    await must(['init', '--quiet', '--bare', '--initial-branch=main', bare], work);
    const url = `http://${forge.host}/team/shop.git`;
    const made = await platform.cupola(['git:webhook', 'shop', '--repo', url, '--login', 'deployer', '--json'], {
      env: { CUPOLA_GIT_TOKEN: 'forge-token' },
    });
    const hook = JSON.parse(made.stdout) as { url: string; secret: string };
    const deliver = async (says: string): Promise<{ status: number; again(): Promise<number> }> => {
      write({ 'server.js': server(says) });
      await commit(says);
      await must(['push', '--quiet', bare, 'main']);
      const body = JSON.stringify({ ref: 'refs/heads/main', after: (await must(['rev-parse', 'HEAD'])).trim() });
      const signature = createHmac('sha256', hook.secret).update(body).digest('hex');
      const send = async (): Promise<number> => {
        const headers = { 'content-type': 'application/json', 'x-gitea-event': 'push', 'x-gitea-signature': signature };
        return (await fetch(hook.url, { method: 'POST', body, headers })).status;
      };
      return { status: await send(), again: send };
    };
    const states = (): string[] => forge.statuses.map(({ body }) => String(body.state));
    const first = await deliver('by webhook');
    expect(first.status).toBe(202);
    await until('the forge is told', async () => states().at(-1) === 'success');
    expect(await serving()).toBe('by webhook');
    expect(await first.again()).toBe(409);
    expect(forge.statuses.at(-1)).toMatchObject({
      path: expect.stringMatching(/^\/api\/v1\/repos\/team\/shop\/statuses\/[0-9a-f]{40}$/),
      body: { context: 'cupola/shop', target_url: `http://shop.localhost:${platform.facts.port}` },
    });
    write({ 'package.json': '{' });
    expect((await deliver('broken')).status).toBe(202);
    await until('the forge is told of the failure', async () => states().at(-1) === 'failure');
    expect(states()).toEqual(['pending', 'success', 'pending', 'failure']);
    expect(await serving()).toBe('by webhook');
    await until('the log says so', async () =>
      (await platform.cupola(['logs', 'shop', '--recent'])).stdout.includes('git: shop stays as it was'),
    );
  });

  test("a fork's pull request is a preview where that is allowed, fetched over SSH by the webhook's own key", async () => {
    const bare = join(work, 'forge', 'team', 'shop.git');
    write({
      'package.json': JSON.stringify({ name: 'shop', scripts: { start: 'node server.js' } }),
      'server.js': server('from a fork'),
    });
    await commit('from a fork');
    await must(['push', '--quiet', bare, 'HEAD:refs/pull/12/head']);
    await platform.cupola(['git:config', 'shop', '--previews', 'forks', '--preview-variables', 'PASSWORD']);
    const url = `ssh://git@${sshForge.host}/team/shop.git`;
    const { stdout } = await platform.cupola(['git:webhook', 'shop', '--repo', url, '--json']);
    const made = JSON.parse(stdout) as { url: string; secret: string; deploy_key: string };
    sshForge.trust(made.deploy_key);
    const deliver = async (action: string): Promise<number> => {
      const head = { ref: 'main', sha: (await must(['rev-parse', 'HEAD'])).trim(), repo: { id: 2 } };
      const body = JSON.stringify({
        action,
        number: 12,
        pull_request: { head, base: { ref: 'main', repo: { id: 1 } } },
      });
      const signature = createHmac('sha256', made.secret).update(body).digest('hex');
      const headers = {
        'content-type': 'application/json',
        'x-gitea-event': 'pull_request',
        'x-gitea-signature': signature,
      };
      return (await fetch(made.url, { method: 'POST', body, headers })).status;
    };
    expect(await deliver('opened')).toBe(202);
    await until('the preview serves', async () => (await platform.ask('shop-pr-12.localhost')).body === 'from a fork');
    expect(await serving()).toBe('by webhook');
    expect((await platform.cupola(['env', 'shop-pr-12'])).stdout).not.toContain('canary');
    expect((await platform.cupola(['git:webhook', 'shop'])).stdout).toMatch(
      /host known by +\[127\.0\.0\.1\]:\d+ ssh-ed25519/,
    );
    expect(await deliver('closed')).toBe(200);
    expect((await platform.cupola(['git:previews', 'shop'])).stdout).toMatch(/No previews/);
  });

  test('Git LFS is told by the server too that it keeps no objects', async () => {
    const answer = await platform.api('POST', '/git/cupola/dev/shop.git/info/lfs/objects/batch', {});
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ message: expect.stringMatching(/keeps no Git LFS objects/) });
  });
});
