/** Hands a fetch and its deployment to git's part, and tells the app's log what becomes of it. The connection stays open meanwhile: while it does, the part is not ended. */
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { type FetchOrder, type FetchOutcome, fetchLine } from '@cupola/contract/v3/git-webhook';
import { UnavailableError } from '@cupola/model/errors';
import { type GitPart, openRequest } from '../pass-on.ts';

interface Ordered {
  /** `bearer ...` of who has made the webhook, for this push alone. */
  readonly authorization: string;
  readonly requestId: string;
}

/** Resolves once the part has taken the order. @throws UnavailableError when it has not. */
export async function placeOrder(
  part: GitPart,
  order: FetchOrder,
  { authorization, requestId }: Ordered,
): Promise<IncomingMessage> {
  const body = JSON.stringify(order);
  const request = openRequest(part, '/-/fetch', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      authorization,
      'x-vcap-request-id': requestId,
    },
  });
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
    request.end(body);
  }).catch((error: unknown) => {
    throw new UnavailableError(`git's part cannot be reached (${(error as Error).message}).`);
  });
  if (answer.statusCode === 200) return answer;
  answer.resume();
  throw new UnavailableError(`git's part does not take it (${answer.statusCode}).`);
}

/** Each line as it comes. Returns how it has ended; null: the part has gone. */
export async function followOrder(
  answer: IncomingMessage,
  { say, pin }: { say(line: string): Promise<void>; pin(knownHosts: string): Promise<void> },
): Promise<FetchOutcome | null> {
  let outcome: FetchOutcome | null = null;
  try {
    for await (const text of createInterface({ input: answer })) {
      const line = fetchLine.parse(JSON.parse(text));
      if ('say' in line) await say(line.say);
      else if ('known_hosts' in line) await pin(line.known_hosts);
      else outcome = line.outcome;
    }
  } catch {
    return null; // Cut off in the middle.
  }
  return outcome;
}
