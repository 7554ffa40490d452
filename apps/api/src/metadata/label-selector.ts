/** Label selectors of lists: `env=prod,tier in (web,api),!beta` (CF: metadata_helpers.rb, label_selector_query_generator.rb). */
import { InvalidRequestError } from '@cupola/model/errors';
import { sql } from 'kysely';
import type { Condition } from '../pages/filters.ts';
import { labelValueError, metadataKeyError } from './rules.ts';

interface Requirement {
  key: string;
  /** Null: any value. */
  values: string[] | null;
  not: boolean;
}

const REQUIREMENTS_MAX = 50;
/** Parentheses hold commas together. */
const SPLITTER = /(?:\(.*?\)|[^,])+/g;
const FORMS: Array<[pattern: RegExp, not: boolean, takesValues: boolean]> = [
  [/^(?<key>.*?) in \((?<values>.*)\)$/, false, true],
  [/^(?<key>.*?) notin \((?<values>.*)\)$/, true, true],
  [/^(?<key>[\w\-./]+)==?(?<values>.*)$/, false, true],
  [/^(?<key>[\w\-./]+)!=(?<values>.*)$/, true, true],
  [/^(?<key>[\w\-./]+)$/, false, false],
  [/^!(?<key>[\w\-./]+)$/, true, false],
];

function refuse(text: string): never {
  throw new InvalidRequestError(`The query parameter is invalid: ${text}`, 'BadQueryParameter');
}

function parseSelector(selector: string): Requirement[] {
  const texts = selector.match(SPLITTER) ?? [];
  if (texts.length === 0) refuse('Missing label_selector value');
  if (texts.length > REQUIREMENTS_MAX) refuse(`Too many label_selector requirements (maximum is ${REQUIREMENTS_MAX})`);
  return texts.map(text => {
    for (const [pattern, not, takesValues] of FORMS) {
      const { key, values = '' } = pattern.exec(text)?.groups ?? {};
      if (key !== undefined) return checked({ key, not, values: takesValues ? values.split(',') : null });
    }
    return refuse('Invalid label_selector value');
  });
}

function checked(requirement: Requirement): Requirement {
  const error =
    metadataKeyError(requirement.key) ??
    (requirement.values ?? []).map(labelValueError).find(problem => problem !== null) ??
    null;
  if (error !== null) refuse(error);
  return requirement;
}

/**
 * `column` holds the guid of a resource of `kind` whose labels are as the selector says. A resource without the label fulfils `!=` and `notin`, as in CF.
 * @throws InvalidRequestError
 */
export function labelSelectorCondition(kind: string, column: string, selector: string): Condition {
  const conditions = parseSelector(selector).map(({ key, values, not }) => {
    const value = values === null ? sql`` : sql` and value in (${sql.join(values)})`;
    const guids = sql`(select resource_guid from labels where kind = ${kind} and key = ${key}${value})`;
    return sql`${sql.ref(column)} ${sql.raw(not ? 'not in' : 'in')} ${guids}`;
  });
  return sql`(${sql.join(conditions, sql` and `)})`;
}
