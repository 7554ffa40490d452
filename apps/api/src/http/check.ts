/** Queries and bodies against their schemas, with failures in Cloud Controller's words (CF: base_message.rb): one sentence for each thing, joined by commas. */
import { InvalidRequestError, UnprocessableError } from '@cupola/model/errors';
import { z } from 'zod';

/** @throws InvalidRequestError: 400 `The query parameter is invalid: ...`. v3 refuses unknown keys; UAA and log-cache ignore them. */
export function checkQuery(schema: z.ZodType, query: Record<string, string>, { path }: { path: string }): unknown {
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : null;
  const problems: string[] = [];
  if (known !== null && path.startsWith('/v3')) {
    const unknown = Object.keys(query).filter(key => !known.includes(key));
    if (unknown.length > 0) problems.push(unknownText(unknown, known));
  }
  const parsed = schema.safeParse(
    known === null ? query : Object.fromEntries(Object.entries(query).filter(([key]) => known.includes(key))),
  );
  if (parsed.success && problems.length === 0) return parsed.data;
  if (!parsed.success) problems.push(...sentences(parsed.error.issues));
  throw new InvalidRequestError(`The query parameter is invalid: ${problems.join(', ')}`, 'BadQueryParameter');
}

function unknownText(unknown: readonly string[], known: readonly string[]): string {
  // CF names `created_ats`, not each of its operators, and nobody types `after`, which our own links carry.
  const valid = new Set(known.map(key => key.replace(/\[.*$/, '')).filter(key => key !== 'after'));
  return `Unknown query parameter(s): '${unknown.join("', '")}'. Valid parameters are: '${[...valid].join("', '")}'`;
}

/** @throws UnprocessableError: 422 with every sentence. */
export function checkBody(schema: z.ZodType, body: unknown): unknown {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  throw new UnprocessableError(sentences(parsed.error.issues).join(', '));
}

/** What zod says where a schema has no sentence of its own. */
const ZODS_OWN =
  /^(Invalid (input|option|string|number|date|key|URL|UUID|email)\b|Too (small|big):|Unrecognized keys?:)/;
/** Of a query's fragment (`has an invalid timestamp format ...`): the name goes before it. */
const FRAGMENT = /^[a-z]/;

function sentences(issues: readonly z.core.$ZodIssue[]): string[] {
  const all = issues.flatMap(issue => {
    // The branch that came nearest says most.
    if (issue.code === 'invalid_union' && ZODS_OWN.test(issue.message)) {
      const nearest = [...issue.errors].sort((a, b) => a.length - b.length)[0];
      if (nearest !== undefined && nearest.length > 0) return sentences(nearest);
    }
    if (!ZODS_OWN.test(issue.message) && !FRAGMENT.test(issue.message)) return [issue.message];
    const subject = issue.path
      .map(String)
      .join(' ')
      .replace(/\[.*?\]/g, '')
      .replace(/_/g, ' ');
    const text = issue.message.charAt(0).toLowerCase() + issue.message.slice(1);
    return [subject === '' ? `The body ${text}` : `${subject.charAt(0).toUpperCase()}${subject.slice(1)} ${text}`];
  });
  return [...new Set(all)];
}
