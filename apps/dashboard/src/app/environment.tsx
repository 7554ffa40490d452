import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { environmentQuery } from '../data/queries.ts';
import type { App } from '../data/read.ts';
import { Action, type Commands } from '../ui/action.tsx';
import { setVariable } from './commands.ts';
import { carryOut } from './do.ts';

/** The user's variables, masked until looked at; who may not read secrets is told so by the API. */
export function Environment({ app, readOnly }: { app: App; readOnly: string | null }) {
  // Each look at variables is on record as an event of the app: so it is asked for by a button.
  const [isAsked, setAsked] = useState(false);
  const { data } = useQuery({ ...environmentQuery(app.guid), enabled: isAsked });
  const change = useChange(app);
  const [name, setName] = useState('');
  const [value, setValue] = useState('');
  // The command leaves the value to who types it: it may be a secret, and shells keep what was typed.
  const commands = setVariable(app, name === '' ? 'NAME' : name, value);
  return (
    <section className="sheet" aria-labelledby="environment-title">
      <header>
        <h2 id="environment-title">Environment</h2>
        <span className="quiet small">takes effect after a restart</span>
      </header>
      {data === null ? (
        <p className="body quiet">Variables may hold secrets: your role does not show them.</p>
      ) : (
        <>
          {data === undefined && (
            <div className="body row">
              <button type="button" className="button" disabled={isAsked} onClick={() => setAsked(true)}>
                Show the variables
              </button>
              <span className="quiet small">Who looks at them is on record among the events.</span>
            </div>
          )}
          {data?.own.length === 0 && <p className="body quiet">No variables of your own.</p>}
          {data !== undefined && data.own.length > 0 && (
            <div className="scrolls">
              <table className="env">
                <tbody>
                  {data.own.map(([key, text]) => (
                    <Variable key={key} name={key} value={text}>
                      <Unset app={app} name={key} readOnly={readOnly} />
                    </Variable>
                  ))}
                </tbody>
              </table>
            </div>
          )}
          <div className="body row">
            <input
              className="field mono"
              aria-label="Name of a variable"
              placeholder="NAME"
              autoComplete="off"
              value={name}
              onChange={event => setName(event.target.value)}
            />
            <input
              className="field mono"
              aria-label="Its value"
              placeholder="value"
              autoComplete="off"
              value={value}
              onChange={event => setValue(event.target.value)}
            />
            <Action
              label="Set"
              commands={commands}
              disabledBecause={readOnly ?? (name === '' ? 'Name the variable first.' : null)}
              run={async () => {
                await change(setVariable(app, name, value, { isShown: true }));
                setName('');
                setValue('');
              }}
              done={`${name} is set. Restart ${app.name} for it to count.`}
            />
          </div>
          {data !== undefined && <OfPlatform variables={data.ofPlatform} />}
        </>
      )}
    </section>
  );
}

/** Carries it out, and reads anew what is shown. */
function useChange(app: App): (commands: Commands) => Promise<void> {
  const client = useQueryClient();
  return async commands => {
    await carryOut(commands);
    await client.invalidateQueries({ queryKey: ['app', app.guid, 'environment'] });
  };
}

/** What the platform gives: services with their credentials, limits, names. Nobody sets these. */
function OfPlatform({ variables }: { variables: ReadonlyArray<readonly [name: string, value: string]> }) {
  return (
    <details className="body">
      <summary>{variables.length} from the platform</summary>
      <div className="scrolls">
        <table className="env">
          <tbody>
            {variables.map(([name, value]) => (
              <Variable key={name} name={name} value={value} />
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function Variable({ name, value, children }: { name: string; value: string; children?: ReactNode }) {
  const [isShown, setShown] = useState(false);
  return (
    <tr>
      <td className="mono">{name}</td>
      <td className="wide mono value">{isShown ? value : '••••••••'}</td>
      <td>
        <span className="row">
          <button type="button" className="copy" aria-pressed={isShown} onClick={() => setShown(!isShown)}>
            {isShown ? 'hide' : 'show'} <span className="hidden-label">{name}</span>
          </button>
          {children}
        </span>
      </td>
    </tr>
  );
}

function Unset({ app, name, readOnly }: { app: App; name: string; readOnly: string | null }) {
  const commands = setVariable(app, name, null);
  const change = useChange(app);
  return (
    <Action
      label="Unset"
      commands={commands}
      disabledBecause={readOnly}
      run={() => change(commands)}
      done={`${name} is unset. Restart ${app.name} for it to count.`}
    />
  );
}
