/** git:webhook: a forge's push events deploy an app. Prints once what the forge is to be given. */
import { readFileSync } from 'node:fs';
import { CfApiError } from '@cupola/client/errors';
import { gitWebhook, madeGitWebhook } from '@cupola/contract/v3/git-webhook';
import { usageError, WordedError } from '@cupola/push/failures';
import { table } from '@cupola/push/text';
import type { z } from 'zod';
import { type CliContext, findApp } from '../context.ts';
import { readStdin, secret } from '../prompt.ts';

type Webhook = z.infer<typeof gitWebhook>;

interface WebhookFlags {
  repo?: string;
  branch?: string;
  /** User of the forge, for a repository that is not public. */
  login?: string;
  tokenStdin?: boolean;
  /** File with the keys of an SSH host. */
  knownHosts?: string;
  remove?: boolean;
}

export async function gitWebhookCommand(context: CliContext, name: string, flags: WebhookFlags): Promise<void> {
  const isNew = [flags.branch, flags.login, flags.knownHosts].some(flag => flag !== undefined);
  if (flags.repo === undefined && isNew)
    throw usageError(
      '--branch, --login and --known-hosts are of a new webhook.',
      `cupola git:webhook ${name} --repo URL --branch main`,
    );
  const { guid } = await findApp(context, name);
  const path = `/v3/apps/${guid}/git_webhook`;
  const client = context.client();
  if (flags.remove === true) {
    await client.act({ method: 'DELETE', path });
    return context.result(
      { app: name, removed: true },
      `Push events deploy ${name} no more. Remove the webhook at the forge too.`,
    );
  }
  if (flags.repo === undefined) {
    const known = await client.read(gitWebhook, { path }).catch((error: unknown) => {
      throw isNone(error)
        ? new WordedError(`No webhook deploys ${name}.`, { next: `Set one up: cupola git:webhook ${name} --repo URL` })
        : error;
    });
    return context.result({ app: name, ...known }, facts(known));
  }
  const token = flags.login === undefined ? null : await tokenOf(context, flags);
  const made = await client.read(madeGitWebhook, {
    method: 'PUT',
    path,
    json: {
      repository_url: flags.repo,
      ...(flags.branch === undefined ? {} : { branch: flags.branch }),
      ...(token === null ? {} : { login: { user: flags.login, token } }),
      ...(flags.knownHosts === undefined ? {} : { known_hosts: readText(flags.knownHosts) }),
    },
  });
  context.result({ app: name, ...made }, `${facts(made, made.secret)}\n\n${how(made)}`);
}

const NOT_FOUND = 404;
function isNone(error: unknown): boolean {
  return error instanceof CfApiError && error.status === NOT_FOUND;
}

async function tokenOf({ environment, isTerminal }: CliContext, { tokenStdin }: WebhookFlags): Promise<string> {
  const given = tokenStdin === true ? await readStdin() : (environment.CUPOLA_GIT_TOKEN ?? '');
  const token = (given === '' && isTerminal ? await secret('Token: ') : given).trim();
  if (token !== '') return token;
  throw usageError(
    'The token of the forge is not there.',
    'Put it into CUPOLA_GIT_TOKEN, or pipe it in: --token-stdin',
  );
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw usageError(`${file} cannot be read: ${(error as Error).message}`, 'Make it: ssh-keyscan HOST >FILE');
  }
}

function facts(webhook: Webhook, secret: string | null = null): string {
  const { url, repository_url, branch, has_login, user, deploy_key, known_hosts } = webhook;
  return table([
    ['deploys', `${branch} of ${repository_url}`],
    ['as', user ?? 'nobody: that user is gone. Make it anew'],
    ...(deploy_key === null
      ? [
          [
            'with a token',
            has_login ? 'yes: it is fetched with that, and commits show how it went' : 'no: a public repository',
          ],
        ]
      : [
          ['deploy key', deploy_key],
          ['host known by', known_hosts?.trim().split('\n').join(', ') ?? 'what it shows at the first fetch'],
        ]),
    ['payload URL', url],
    ...(secret === null ? [] : [['secret', secret]]),
  ]);
}

/** What is to be done at the forge. */
function how({ url, deploy_key }: Webhook): string {
  const { hostname } = new URL(url);
  return [
    'The secret is shown this once. Give both to the forge, for push events, as JSON:',
    '  GitHub            Settings, Webhooks: Payload URL, Secret',
    '  GitLab            Settings, Webhooks: URL, Signing token (before it had those: Secret token)',
    '  Gitea, Forgejo    Settings, Webhooks: Target URL, Secret',
    ...(deploy_key === null
      ? []
      : ['The deploy key goes into the settings of the repository there, Deploy keys, for reading alone.']),
    ...(isThisMachine(hostname)
      ? [
          `${hostname} is this machine alone: a forge elsewhere cannot call it. On a server: cupola up --listen 0.0.0.0 --domain DOMAIN`,
        ]
      : []),
  ].join('\n');
}

function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || /^127\.|^\[::1\]$/.test(hostname);
}
