/**
 * Who sent a delivery, and whether it holds: by the strongest proof that it has, over the bytes as they came, in constant time. A proof that is wrong is not
 * made good by a weaker one beside it.
 *
 * | forge | proof | source |
 * |---|---|---|
 * | GitLab, with a signing token | `webhook-signature: v1,BASE64` over `id.timestamp.body` | gitlab.com merge request 230944; Standard Webhooks |
 * | GitHub | `X-Hub-Signature-256: sha256=HEX` over the body | docs.github.com "Validating webhook deliveries" |
 * | Forgejo, Gitea | `X-Forgejo-Signature`, `X-Gitea-Signature`: HEX over the body | forgejo.org and docs.gitea.com "Webhooks" |
 * | GitLab, with a secret token | `X-Gitlab-Token`: the secret itself | docs.gitlab.com "Webhooks" |
 *
 * Gitea and Forgejo send GitHub's headers too: theirs are looked for first, so that the forge is known.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Forge } from '@cupola/contract/git-remote';

export interface Delivery {
  readonly forge: Forge;
  /** `push`, `ping`, whatever else the forge tells of. */
  readonly event: string;
  /** What tells it from every other: digests of its bytes, and of the id that its forge gave it. */
  readonly marks: readonly string[];
}

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly secret: string;
  readonly now: number;
}

/** Of a signed time: more is a delivery that somebody has kept (Standard Webhooks: five minutes). */
const SKEW_MS = 5 * 60_000;
const PREFIX = 'whsec_';

/** Null: no proof, a wrong one, or one that is old. */
export function provenDelivery(received: Received): Delivery | null {
  const { headers, body, secret } = received;
  const one = (name: string): string => (typeof headers[name] === 'string' ? headers[name] : '');
  const hex = (): string => createHmac('sha256', secret).update(body).digest('hex');
  const made = (forge: Forge, event: string, id: string): Delivery => ({ forge, event, marks: marksOf(body, id) });
  if (one('webhook-signature') !== '')
    return isSigned(received, one) ? made('gitlab', gitlabEvent(one('x-gitlab-event')), one('webhook-id')) : null;
  const gitea = one('x-forgejo-signature') || one('x-gitea-signature');
  if (gitea !== '')
    return isSame(gitea, hex())
      ? made(
          'gitea',
          one('x-gitea-event') || one('x-forgejo-event'),
          one('x-gitea-delivery') || one('x-forgejo-delivery'),
        )
      : null;
  if (one('x-hub-signature-256') !== '')
    return isSame(one('x-hub-signature-256'), `sha256=${hex()}`)
      ? made('github', one('x-github-event'), one('x-github-delivery'))
      : null;
  if (one('x-gitlab-token') !== '')
    return isSame(one('x-gitlab-token'), secret)
      ? made('gitlab', gitlabEvent(one('x-gitlab-event')), one('idempotency-key') || one('x-gitlab-event-uuid'))
      : null;
  return null;
}

function isSigned({ body, secret, now }: Received, one: (name: string) => string): boolean {
  const [id, timestamp] = [one('webhook-id'), one('webhook-timestamp')];
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp) * 1_000) > SKEW_MS) return false;
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  const wanted = `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
  return one('webhook-signature')
    .split(' ')
    .some(given => isSame(given, wanted));
}

/** Hashed first: neither length nor content shows in the time it takes. */
function isSame(given: string, wanted: string): boolean {
  return timingSafeEqual(hash('sha256', given, 'buffer'), hash('sha256', wanted, 'buffer'));
}

/** `Push Hook`. */
function gitlabEvent(text: string): string {
  return text.replace(/ Hook$/, '').toLowerCase();
}

/** An id is signed by GitLab's signing tokens alone: elsewhere whoever has kept a delivery can give it another, so the bytes count too. */
function marksOf(body: Buffer, id: string): string[] {
  return [`body ${hash('sha256', body)}`, ...(id === '' ? [] : [`id ${hash('sha256', id)}`])];
}
