import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { revisionsQuery } from '../data/queries.ts';
import type { App, Revision } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { Since } from '../ui/since.tsx';
import { rollBack } from './commands.ts';
import { carryOut } from './do.ts';
import { RevisionChanges } from './revision-changes.tsx';

export function Revisions({ app, readOnly }: { app: App; readOnly: string | null }) {
  const { data } = useQuery(revisionsQuery(app.guid));
  if (data === undefined) return null;
  const serves = data.revisions.find(({ guid }) => data.deployed.has(guid));
  return (
    <section className="sheet" aria-labelledby="revisions-title">
      <header>
        <h2 id="revisions-title">Revisions</h2>
      </header>
      {data.revisions.length === 0 ? (
        <p className="body quiet">
          Each push that is started makes one. You can go back to any of them without a dropped request.
        </p>
      ) : (
        <table>
          <tbody>
            {data.revisions.map(revision => (
              <tr key={revision.guid}>
                <td className="number">{revision.version}</td>
                <td className="wide small">
                  {revision.description ?? ''}{' '}
                  <span className="quiet">
                    <Since at={Date.parse(revision.created_at)} after=" ago" />
                  </span>
                  {serves !== undefined && !data.deployed.has(revision.guid) && (
                    <Difference now={serves} wanted={revision} />
                  )}
                </td>
                <td className="end">
                  {data.deployed.has(revision.guid) ? (
                    <span className="tone-good small">serves</span>
                  ) : (
                    <RollBack app={app} revision={revision} readOnly={readOnly} />
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** Opened by whoever wants to know before going back. */
function Difference({ now, wanted }: { now: Revision; wanted: Revision }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={event => setOpen(event.currentTarget.open)}>
      <summary className="quiet">what would change</summary>
      {isOpen && <RevisionChanges now={now} wanted={wanted} />}
    </details>
  );
}

function RollBack({ app, revision, readOnly }: { app: App; revision: Revision; readOnly: string | null }) {
  const commands = rollBack(app, revision);
  return (
    <Action
      label="Roll back"
      commands={commands}
      disabledBecause={readOnly ?? (revision.deployable === false ? 'Its droplet is not kept any more.' : null)}
      run={() => carryOut(commands)}
      done={`Revision ${revision.version} is being deployed.`}
    />
  );
}
