import { useState } from 'react';
import type { ShownProcess } from '../data/queries.ts';
import type { App } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { changeState, scaleApp } from './commands.ts';
import { carryOut, carryOutAll } from './do.ts';

/** Instances count at once; another memory or disk needs a restart, which the button says. */
export function Scale({
  app,
  process,
  readOnly,
}: {
  app: App;
  process: ShownProcess['process'];
  readOnly: string | null;
}) {
  const now = { instances: process.instances, memory_in_mb: process.memory_in_mb, disk_in_mb: process.disk_in_mb };
  const [typed, setTyped] = useState<Partial<typeof now>>({});
  const wanted = { ...now, ...typed };
  const changed = Object.fromEntries(
    Object.entries(typed).filter(([key, value]) => value !== now[key as keyof typeof now]),
  ) as Partial<typeof now>;
  const isSize = changed.memory_in_mb !== undefined || changed.disk_in_mb !== undefined;
  const commands = scaleApp(app, process, Object.keys(changed).length === 0 ? { instances: now.instances } : changed);
  const isWhole = Object.values(wanted).every(value => Number.isInteger(value) && value >= 0);
  const why =
    readOnly ??
    (Object.keys(changed).length === 0 ? 'Nothing is changed yet.' : isWhole ? null : 'Write whole numbers.');
  const needsRestart = isSize && app.state === 'STARTED';
  return (
    <section className="sheet" aria-labelledby="scale-title">
      <header>
        <h2 id="scale-title">Scale {process.type}</h2>
      </header>
      <div className="body stack">
        <div className="row">
          {(
            [
              ['instances', 'instances'],
              ['memory_in_mb', 'memory, MB'],
              ['disk_in_mb', 'disk, MB'],
            ] as const
          ).map(([key, label]) => (
            <label key={key}>
              <span className="label">{label}</span>
              <br />
              <input
                className="field number"
                type="number"
                min={key === 'instances' ? 0 : 1}
                value={Number.isNaN(wanted[key]) ? '' : wanted[key]}
                onChange={event => setTyped({ ...typed, [key]: event.target.valueAsNumber })}
              />
            </label>
          ))}
        </div>
        <Action
          label={needsRestart ? 'Scale and restart' : 'Scale'}
          kind="main-action"
          commands={commands}
          disabledBecause={why}
          run={async () => {
            await (needsRestart ? carryOutAll([commands, changeState(app, 'restart')]) : carryOut(commands));
            setTyped({});
          }}
          done={`${app.name} is scaled.`}
        />
      </div>
    </section>
  );
}
