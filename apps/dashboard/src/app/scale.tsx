import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { quotaQuery, type ShownProcess } from '../data/queries.ts';
import type { App } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { changeState, scaleApp } from './commands.ts';
import { carryOut, carryOutAll } from './do.ts';
import { quotaBars, type Size } from './quota-bars.ts';

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
    <section className="sheet" aria-labelledby={`scale-${process.guid}`}>
      <header>
        <h2 id={`scale-${process.guid}`}>Scale {process.type}</h2>
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
        <QuotaUse app={app} now={now} wanted={wanted} />
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

/** How full the quotas above are, and would be. */
function QuotaUse({ app, now, wanted }: { app: App; now: Size; wanted: Size }) {
  const spaceGuid = app.relationships?.space?.data?.guid ?? '';
  const organizationGuid = app.included?.organizations?.[0]?.guid ?? '';
  const { data: levels } = useQuery({
    ...quotaQuery(app.guid, spaceGuid, organizationGuid),
    enabled: organizationGuid !== '',
  });
  if (levels === undefined) return null;
  const bars = quotaBars(levels, { now, wanted, isStarted: app.state === 'STARTED' });
  if (bars.length === 0) return <p className="quiet small">No quota limits memory or instances here.</p>;
  return bars.map(({ key, label, text, used, wanted: then, isOver }) => (
    <div key={key} className={`meter quota ${isOver ? 'over' : ''}`}>
      <span className="small">
        <span className="quiet">{label}:</span> <span className="number">{text}</span>
        {isOver && ' is too much'}
      </span>
      <div className="track" aria-hidden="true">
        <i className="then" style={{ width: `${Math.max(used, then) * 100}%` }} />
        <i style={{ width: `${Math.min(used, then) * 100}%` }} />
      </div>
    </div>
  ));
}
