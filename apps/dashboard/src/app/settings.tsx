import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { App } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { deleteApp } from './commands.ts';
import { carryOut } from './do.ts';

/** Deleting wants the name typed. */
export function Settings({ app, readOnly }: { app: App; readOnly: string | null }) {
  const [typed, setTyped] = useState('');
  const navigate = useNavigate();
  const client = useQueryClient();
  const commands = deleteApp(app);
  const spaceGuid = app.relationships?.space?.data?.guid ?? '';
  return (
    <section className="sheet" aria-labelledby="settings-title">
      <header>
        <h2 id="settings-title">Delete this app</h2>
      </header>
      <div className="body stack">
        <p className="quiet small">
          Its instances, droplets, revisions and tasks go; routes stay and lead nowhere. Type its name to go on.
        </p>
        <div className="row">
          <input
            className="field mono"
            aria-label={`Type ${app.name} to delete it`}
            placeholder={app.name}
            value={typed}
            autoComplete="off"
            onChange={event => setTyped(event.target.value)}
          />
          <Action
            label="Delete"
            kind="danger"
            commands={commands}
            disabledBecause={readOnly ?? (typed === app.name ? null : 'Type its name first.')}
            run={async () => {
              await carryOut(commands);
              await navigate({ to: '/spaces/$guid', params: { guid: spaceGuid } });
              client.removeQueries({ queryKey: ['app', app.guid] });
            }}
            done={`${app.name} is deleted.`}
          />
        </div>
      </div>
    </section>
  );
}
