/** What of an app is set once: its name, how it is started, how its health is looked at; and its end. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { processQuery, type ShownProcess } from '../data/queries.ts';
import type { App, Process } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { changeProcess, deleteApp, renameApp } from './commands.ts';
import { carryOut } from './do.ts';

interface Props {
  app: App;
  processes: readonly ShownProcess[];
  readOnly: string | null;
}

export function Settings({ app, processes, readOnly }: Props) {
  return (
    <>
      <section className="sheet" aria-labelledby="settings-title">
        <header>
          <h2 id="settings-title">Settings</h2>
          <span className="quiet small">a new command or check takes effect after a restart</span>
        </header>
        <div className="body stack">
          <Rename key={app.name} app={app} readOnly={readOnly} />
        </div>
        {processes.map(({ process }) => (
          <Running key={process.guid} app={app} guid={process.guid} readOnly={readOnly} />
        ))}
      </section>
      <Delete app={app} readOnly={readOnly} />
    </>
  );
}

function Rename({ app, readOnly }: Omit<Props, 'processes'>) {
  const [name, setName] = useState(app.name);
  const commands = renameApp(app, name);
  const why = name === '' ? 'Type a name first.' : name === app.name ? 'That is its name.' : null;
  return (
    <div className="row fields">
      <label>
        <span className="label">name of the app</span>
        <br />
        <input className="field mono" value={name} autoComplete="off" onChange={event => setName(event.target.value)} />
      </label>
      <Action
        label="Rename"
        commands={commands}
        disabledBecause={readOnly ?? why}
        run={() => carryOut(commands)}
        done={`It is called ${name} now. Its routes stay.`}
      />
    </div>
  );
}

/** Lists hide the command: it is read for itself. */
function Running({ app, guid, readOnly }: Omit<Props, 'processes'> & { guid: string }) {
  const { data: process } = useQuery(processQuery(app.guid, guid));
  if (process === undefined) return null;
  // What somebody else has changed is what is shown from then on.
  const { command, health_check } = process;
  return <RunningOf key={JSON.stringify([command, health_check])} app={app} process={process} readOnly={readOnly} />;
}

const CHECKS = ['port', 'http', 'process'] as const;
const SAYS = {
  port: 'it listens on its port',
  http: 'this path answers with 200',
  process: 'it has not ended',
} as const;

function RunningOf({ app, process, readOnly }: Omit<Props, 'processes'> & { process: Process }) {
  const check = process.health_check;
  const now = {
    command: process.command ?? '',
    type: CHECKS.find(one => one === check?.type) ?? 'port',
    endpoint: check?.data?.endpoint ?? '/',
    timeout: check?.data?.timeout ?? null,
  };
  const [typed, setTyped] = useState(now);
  // What is shown may be the detected one: only another one is set.
  const command = typed.command === now.command ? null : typed.command;
  const commands = changeProcess(app, process, { ...typed, command });
  const isSame = JSON.stringify(typed) === JSON.stringify(now);
  const isWhole = typed.timeout === null || (Number.isInteger(typed.timeout) && typed.timeout > 0);
  const why = isSame ? 'Nothing is changed yet.' : isWhole ? null : 'Write whole seconds.';
  return (
    <div className="body stack">
      <label>
        <span className="label">{process.type}: start command, if not the detected one</span>
        <br />
        <input
          className="field mono grow"
          value={typed.command}
          autoComplete="off"
          onChange={event => setTyped({ ...typed, command: event.target.value })}
        />
      </label>
      <div className="row fields">
        <label>
          <span className="label">healthy when</span>
          <br />
          <select
            className="field"
            value={typed.type}
            onChange={event => setTyped({ ...typed, type: CHECKS.find(one => one === event.target.value) ?? 'port' })}
          >
            {CHECKS.map(one => (
              <option key={one} value={one}>
                {SAYS[one]}
              </option>
            ))}
          </select>
        </label>
        {typed.type === 'http' && (
          <label>
            <span className="label">path</span>
            <br />
            <input
              className="field mono"
              value={typed.endpoint}
              autoComplete="off"
              onChange={event => setTyped({ ...typed, endpoint: event.target.value })}
            />
          </label>
        )}
        <label>
          <span className="label">up within, s</span>
          <br />
          <input
            className="field number"
            type="number"
            min={1}
            value={typed.timeout === null || Number.isNaN(typed.timeout) ? '' : typed.timeout}
            onChange={event =>
              setTyped({ ...typed, timeout: event.target.value === '' ? null : event.target.valueAsNumber })
            }
          />
        </label>
        <Action
          label="Save"
          commands={commands}
          disabledBecause={readOnly ?? why}
          run={() => carryOut(commands)}
          done={`Saved. Restart ${app.name} for it to count.`}
        />
      </div>
    </div>
  );
}

/** Wants the name typed. */
function Delete({ app, readOnly }: Omit<Props, 'processes'>) {
  const [typed, setTyped] = useState('');
  const navigate = useNavigate();
  const client = useQueryClient();
  const commands = deleteApp(app);
  const spaceGuid = app.relationships?.space?.data?.guid ?? '';
  return (
    <section className="sheet" aria-labelledby="delete-title">
      <header>
        <h2 id="delete-title">Delete this app</h2>
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
