import { useQuery } from '@tanstack/react-query';
import { revisionVariablesQuery } from '../data/queries.ts';
import type { Revision } from '../data/read.ts';
import { changesBetween } from './revision-diff.ts';

const WORDS = { added: 'comes', removed: 'goes', changed: 'changes' } as const;

/** What going back to `wanted` would change of what serves now. Read when it is opened. */
export function RevisionChanges({ now, wanted }: { now: Revision; wanted: Revision }) {
  const { data: before } = useQuery(revisionVariablesQuery(now.guid));
  const { data: after } = useQuery(revisionVariablesQuery(wanted.guid));
  if (before === undefined || after === undefined) return <p className="quiet small">Reading…</p>;
  const changes = changesBetween({ revision: now, variables: before }, { revision: wanted, variables: after });
  if (changes.length === 0)
    return <p className="quiet small">Nothing but the moment: code, commands and variables are the same.</p>;
  return (
    <ul className="revision-changes small">
      {changes.map(({ how, what, from, to }) => (
        <li key={`${how} ${what}`}>
          <span className={how === 'removed' ? 'tone-bad' : how === 'added' ? 'tone-good' : 'tone-moving'}>
            {WORDS[how]}
          </span>{' '}
          <code>{what}</code>
          {from !== null && (
            <>
              {' '}
              from <code>{from}</code>
            </>
          )}
          {to !== null && (
            <>
              {' '}
              to <code>{to}</code>
            </>
          )}
        </li>
      ))}
      {(before === null || after === null) && (
        <li className="quiet">Variables are compared for who may see them: space developers.</li>
      )}
    </ul>
  );
}
