import { readCode } from '@cupola/model/causes';
import { toneOfInstance } from '../apps/health.ts';
import type { ShownInstance, ShownProcess } from '../data/queries.ts';
import type { App, AuditEvent } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { Meter } from '../ui/meter.tsx';
import { Since } from '../ui/since.tsx';
import { StateWord } from '../ui/state-word.tsx';
import { TableHead } from '../ui/table-head.tsx';
import { megabytes } from '../ui/time.ts';
import { restartInstance } from './commands.ts';
import { carryOut } from './do.ts';

interface Props {
  app: App;
  shown: ShownProcess;
  /** Which of two processes of one type this is, while a deployment goes from one to the other; else null. */
  version: 'new' | 'before' | null;
  events: readonly AuditEvent[];
  readOnly: string | null;
}

export function Instances({ app, shown: { process, instances }, version, events, readOnly }: Props) {
  // Of this process: the version before it had its own.
  const crashes = events.filter(
    ({ type, actor, data }) =>
      type === 'audit.app.process.crash' && data?.index !== undefined && (actor?.guid ?? process.guid) === process.guid,
  );
  const running = instances.filter(({ state }) => state === 'RUNNING').length;
  return (
    <section className="sheet" aria-labelledby={`instances-${process.guid}`}>
      <header>
        <h2 id={`instances-${process.guid}`}>
          {process.type}
          {version !== null && (version === 'new' ? ', the new version' : ', the version before')}
        </h2>
        <span className="quiet small number">
          {running} of {process.instances} running
        </span>
      </header>
      {instances.length === 0 ? (
        <p className="body quiet">No instances are wanted. Scale it to have some.</p>
      ) : (
        <div className="scrolls">
          <table className="instances">
            <TableHead names={['#', 'state', 'for', 'crashes', 'cpu', 'memory', 'disk', 'cell', '']} />
            <tbody>
              {instances.map(instance => (
                <InstanceRow
                  key={instance.index}
                  app={app}
                  process={process}
                  instance={instance}
                  crashes={crashes.filter(({ data }) => data?.index === instance.index)}
                  readOnly={readOnly}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

interface RowProps {
  app: App;
  process: ShownProcess['process'];
  instance: ShownInstance;
  crashes: readonly AuditEvent[];
  readOnly: string | null;
}

function InstanceRow({ app, process, instance, crashes, readOnly }: RowProps) {
  const { index, state, since, usage, mem_quota, disk_quota, host, details } = instance;
  const commands = restartInstance(app, process, index);
  const isThere = state === 'RUNNING' || state === 'STARTING';
  const why = details ? readCode(details).text : (crashes[0]?.data?.exit_description ?? null);
  return (
    <>
      <tr>
        <td className="number">{index}</td>
        <td>
          <StateWord health={{ word: state.toLowerCase(), tone: toneOfInstance(state) }} />
        </td>
        <td className="number">{state === 'DOWN' ? '' : <Since at={since} />}</td>
        <td className="number" title="Of the last events">
          {crashes.length}
        </td>
        <td className="number">{usage && isThere ? `${((usage.cpu ?? 0) * 100).toFixed(1)} %` : ''}</td>
        <td>{usage && isThere && <Used used={usage.mem ?? 0} limit={mem_quota ?? 0} />}</td>
        <td>{usage && isThere && <Used used={usage.disk ?? 0} limit={disk_quota ?? 0} />}</td>
        <td className="number">{host ?? ''}</td>
        <td className="end">
          <Action
            label="Restart"
            commands={commands}
            disabledBecause={readOnly ?? (isThere ? null : 'There is no instance to restart.')}
            run={() => carryOut(commands)}
            done={`Instance ${index} is restarted.`}
          />
        </td>
      </tr>
      {why !== null && why !== '' && (
        <tr>
          <td />
          <td colSpan={8} className="quiet small">
            <span className="why">
              {state === 'RUNNING' ? 'last exit: ' : ''}
              {readCode(why).text}
            </span>
          </td>
        </tr>
      )}
    </>
  );
}

function Used({ used, limit }: { used: number; limit: number }) {
  const text = (
    <>
      {megabytes(used)} <span className="quiet">/ {megabytes(limit)} MB</span>
    </>
  );
  return <Meter part={limit === 0 ? 0 : used / limit} text={text} />;
}
