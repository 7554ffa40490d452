/** git:remote, git:credential, git:config, git:previews: what lets `git push cupola main` work without a password, and what such a push does. */
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { readInfo, readRoute } from '@cupola/contract/v3/client-reads';
import { type GitPreview, type GitSettingsAnswer, gitPreviews, gitSettings } from '@cupola/contract/v3/git';
import { usageError, WordedError } from '@cupola/push/failures';
import { table } from '@cupola/push/text';
import { urlsOf } from '@cupola/push/urls';
import { type CliContext, findApp } from '../context.ts';
import { appOfFolder } from '../folder-app.ts';
import { findLauncher } from '../launcher.ts';
import { readStdin } from '../prompt.ts';

interface RemoteFlags {
  /** Over SSH, with the user's key. */
  ssh?: boolean;
  /** Name of the remote. */
  remote: string;
}

/** The repository of this folder gets a remote, and a credential helper for the platform's address: this very CLI. */
export async function gitRemote(
  context: CliContext,
  app: string | undefined,
  { remote, ssh }: RemoteFlags,
): Promise<void> {
  const { organization, space } = context.target();
  const { api } = context.client().endpoints;
  requireRepository();
  const name = app ?? appOfFolder('cupola git:remote APP');
  const url = ssh === true ? await sshUrl(context, name) : remoteUrl(context, name);
  const has = git(['remote']).stdout.split('\n').includes(remote);
  must(['remote', ...(has ? ['set-url'] : ['add']), remote, url]);
  const helper = `credential.${api}.helper`;
  git(['config', '--local', '--unset-all', helper]);
  // The empty one leaves out helpers of the user's: a token of some minutes is nothing to keep.
  for (const value of ['', helperCommand(context)]) must(['config', '--local', '--add', helper, value]);
  const verify = `http.${api}.sslVerify`;
  if (context.config.read().skipSslValidation) must(['config', '--local', verify, 'false']);
  else git(['config', '--local', '--unset-all', verify]);
  context.result(
    { remote, url, app: name },
    `Remote ${remote} leads to ${name} in ${organization.name} / ${space.name}.\n${nextPush(remote)}`,
  );
}

/** By the branch that is checked out; one that has no commit cannot be pushed. */
function nextPush(remote: string): string {
  const branch = git(['symbolic-ref', '--quiet', '--short', 'HEAD']).stdout.trim() || 'HEAD:refs/heads/main';
  const first =
    git(['rev-parse', '--quiet', '--verify', 'HEAD']).status === 0 ? '' : 'git add . && git commit -m first && ';
  return `Deploy: ${first}git push ${remote} ${branch}`;
}

/** Where an app is pushed to by git. */
export function remoteUrl(context: CliContext, app: string): string {
  return `${context.client().endpoints.api}/git/${pathOf(context, app)}`;
}

function pathOf(context: CliContext, app: string): string {
  const { organization, space } = context.target();
  return `${[organization.name, space.name, app].map(encodeURIComponent).join('/')}.git`;
}

async function sshUrl(context: CliContext, app: string): Promise<string> {
  const { custom } = await context.client().read(readInfo, { path: '/v3/info' });
  const port = custom?.git_ssh_port;
  if (port == null)
    throw new WordedError('This platform does not speak git over SSH.', {
      next: 'Leave out --ssh; or its operator opens a port: ./cupola up --ssh-port 2222',
    });
  return `ssh://git@${new URL(context.client().endpoints.api).hostname}:${port}/${pathOf(context, app)}`;
}

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

function git(args: readonly string[]): Ran {
  const ran = spawnSync('git', args, { encoding: 'utf8' });
  if ((ran.error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    throw usageError('There is no git on this machine.', 'Install it, or push without: cupola push');
  return ran;
}

function must(args: readonly string[]): void {
  const { status, stderr } = git(args);
  if (status !== 0)
    throw new WordedError(`git ${args[0]} failed: ${stderr.trim()}`, { next: 'Mend that, then again.' });
}

function requireRepository(): void {
  if (git(['rev-parse', '--git-dir']).status !== 0)
    throw usageError(
      'This folder is in no git repository.',
      'Make it one: git init -b main && git add . && git commit -m first',
    );
}

/** As git's shell runs it: by the launcher of the checkout, which stays where it is when programs are made anew; else by what runs now. */
function helperCommand({ environment }: CliContext): string {
  const entry = realpathSync(process.argv[1] ?? '');
  const launcher = findLauncher(entry);
  const words = launcher === null ? [process.execPath, entry] : [launcher];
  const home = environment.CUPOLA_HOME ? [`CUPOLA_HOME=${quoted(environment.CUPOLA_HOME)}`] : [];
  return `!${[...home, ...words.map(quoted)].join(' ')} git:credential`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** git's credential helper: an access token in the password's place, renewed when it is about to end. For other hosts, and with nobody logged in, silent. */
export async function gitCredential(context: CliContext, action: string): Promise<void> {
  const asked = new Map(
    (await readStdin()).split('\n').map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const { endpoints, tokens } = context.config.read();
  if (action !== 'get' || endpoints === null) return;
  const { protocol, host } = new URL(endpoints.api);
  if (`${asked.get('protocol')}:` !== protocol || asked.get('host') !== host) return;
  // git asks for a name then, or says that it cannot.
  if (tokens === null) return context.note('cupola: Nobody is logged in. Log in, and push again: cupola login');
  const answer = await context.client().exchange({ path: '/v3/organizations', query: { per_page: '1' } });
  const access = context.config.read().tokens?.access;
  if (answer.status < 400 && access !== undefined) process.stdout.write(`username=bearer\npassword=${access}\n`);
}

interface ConfigFlags {
  branch?: string;
  onFailure?: string;
  submodules?: string;
  previews?: string;
  previewHours?: number;
  previewVariables?: string;
}

/** Shows what pushes by git do to an app, or changes it. */
export async function gitConfig(context: CliContext, name: string, flags: ConfigFlags): Promise<void> {
  const { guid } = await findApp(context, name);
  const path = `/v3/apps/${guid}/git`;
  const json = {
    ...(flags.branch === undefined ? {} : { branch: flags.branch }),
    ...(flags.onFailure === undefined ? {} : { on_failure: flags.onFailure }),
    ...(flags.submodules === undefined ? {} : { submodules: flags.submodules }),
    ...(flags.previews === undefined ? {} : { previews: flags.previews }),
    ...(flags.previewHours === undefined ? {} : { preview_hours: flags.previewHours }),
    ...(flags.previewVariables === undefined ? {} : { preview_variables: namesOf(flags.previewVariables) }),
  };
  const isChange = Object.keys(json).length > 0;
  const settings = await context.client().read(gitSettings, isChange ? { method: 'PATCH', path, json } : { path });
  const hint =
    flags.previews === 'on' || flags.previews === 'forks'
      ? '\nA branch becomes a preview with the next commit that is pushed to it: git push cupola BRANCH'
      : '';
  context.result({ app: name, ...settings }, describe(settings) + hint);
}

/** `A,B`; nothing: none. */
function namesOf(text: string): string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');
}

const PREVIEWS = {
  off: 'are kept here, and not deployed',
  on: 'are previews; pull requests of forks deploy nothing',
  forks: 'are previews, and so are pull requests of forks',
};

function describe(settings: GitSettingsAnswer): string {
  const { branch, on_failure, submodules, previews, preview_hours, preview_variables } = settings;
  return table([
    ['branch', branch ?? 'that of the first push'],
    ['other branches', PREVIEWS[previews]],
    ...(previews === 'off'
      ? []
      : [
          ['previews end', `${preview_hours} hours after the last push, or with their branch`],
          ['previews know', preview_variables.length === 0 ? 'no variable of the app' : preview_variables.join(', ')],
        ]),
    ['a failed build or start', on_failure === 'refuse' ? 'refuses the push' : 'is told; git keeps the push'],
    ['submodules', submodules === 'refuse' ? 'refuse the push' : 'are left empty'],
  ]);
}

/** Shows the previews of an app, or deletes one. */
export async function gitPreviewsCommand(
  context: CliContext,
  name: string,
  { delete: deleted }: { delete?: string },
): Promise<void> {
  const { guid } = await findApp(context, name);
  const path = `/v3/apps/${guid}/git_previews`;
  const client = context.client();
  const { resources } = await client.read(gitPreviews, { path });
  if (deleted === undefined)
    return context.result({ app: name, previews: resources }, await listed(context, name, resources));
  const one = resources.find(preview => preview.name === deleted || preview.source === deleted);
  if (one === undefined)
    throw usageError(`${name} has no preview ${deleted}.`, `See which it has: cupola git:previews ${name}`);
  await client.act({ method: 'DELETE', path: `${path}/${one.guid}` });
  context.result({ app: name, deleted: one.name }, `${one.name} is deleted, and its route with it.`);
}

async function listed(context: CliContext, app: string, previews: readonly GitPreview[]): Promise<string> {
  if (previews.length === 0)
    return `No previews. Where they are on (cupola git:config ${app} --previews on), the push of another branch makes one.`;
  const client = context.client();
  const rows = await Promise.all(
    previews.map(async ({ guid, name, source, expires_at }) => {
      const [url] = await urlsOf(client, await client.all(readRoute, `/v3/apps/${guid}/routes`));
      return [name, source, `until ${expires_at}`, url ?? 'no route'];
    }),
  );
  return table(rows);
}
