/** Why an app is not as it should be: one sentence, what shows it, what mends it. The words are those of the CLI and of docs/errors. */
import type { Explanation } from '@cupola/contract/causes';
import { explainStaging, explainStart } from '@cupola/contract/explain-failure';
import { readLogEnvelopes } from '@cupola/contract/v3/client-reads';
import { sentence } from '@cupola/model/sentence';
import { useQuery } from '@tanstack/react-query';
import { reasonOf } from '../apps/overview.ts';
import { read, withQuery } from '../data/http.ts';
import type { ShownProcess } from '../data/queries.ts';
import type { App, AuditEvent, Build, Deployment, Revision } from '../data/read.ts';
import { logLine } from '../logs/lines.ts';
import { Action } from '../ui/action.tsx';
import { Copy } from '../ui/copy.tsx';
import { cancelDeployment, changeState, rollBack, scaleApp } from './commands.ts';
import { carryOut, carryOutAll } from './do.ts';

interface Props {
  app: App;
  build: Build | null;
  deployment: Deployment | null;
  processes: readonly ShownProcess[];
  events: readonly AuditEvent[];
  /** The newest of those that ran before; null when there is none to go back to. */
  former: Revision | null;
  readOnly: string | null;
}

interface Found {
  title: string;
  reason: string;
  explained: Explanation;
  /** Whose instances they are; null: the build. */
  process: ShownProcess['process'] | null;
  /** Of a deployment under way that has made that process: the version before serves meanwhile. */
  deployment: Deployment | null;
}

const LINES_MAX = 200;

export function Trouble(props: Props) {
  const { app, build, deployment, processes } = props;
  const isStaging = build?.state === 'FAILED';
  const troubled = processes.find(({ instances }) =>
    instances.some(({ state, details }) => state !== 'RUNNING' && Boolean(details)),
  );
  const wanted = isStaging || (app.state === 'STARTED' && troubled !== undefined);
  const { data: lines } = useQuery({
    queryKey: ['app', app.guid, 'last-lines', build?.guid ?? '', troubled?.instances.map(({ details }) => details)],
    enabled: wanted,
    queryFn: ({ signal }) => lastLines(app.guid, signal),
  });
  if (!wanted || lines === undefined) return null;
  const found: Found[] = [];
  if (isStaging) {
    const told = explainStaging(
      app.name,
      build.error ?? '',
      lines.filter(({ source }) => source === 'STG').map(({ plain }) => plain),
    );
    found.push({
      title: 'The newest build failed',
      reason: told.text,
      explained: told.explained,
      process: null,
      deployment: null,
    });
  }
  if (app.state === 'STARTED' && troubled !== undefined) {
    const source = `APP/PROC/${troubled.process.type.toUpperCase()}`;
    const told = explainStart({
      app: app.name,
      process: troubled.process,
      instances: troubled.instances,
      event:
        props.events.find(
          ({ type, actor }) =>
            type === 'audit.app.process.crash' && (actor?.guid ?? troubled.process.guid) === troubled.process.guid,
        ) ?? null,
      lines: lines.filter(one => one.source === source).map(({ plain }) => plain),
    });
    const isNew =
      reasonOf(deployment) !== null && deployment?.new_processes?.some(({ guid }) => guid === troubled.process.guid);
    const running = troubled.instances.filter(({ state }) => state === 'RUNNING').length;
    found.push({
      title: isNew
        ? `The new version does not run: ${told.explained.says}. The version before serves`
        : running === 0
          ? `${app.name} does not run: ${told.explained.says}`
          : `${running} of ${troubled.instances.length} instances run: ${told.explained.says}`,
      reason: told.reason,
      explained: told.explained,
      process: troubled.process,
      deployment: isNew ? deployment : null,
    });
  }
  return found.map(one => <TroublePanel key={one.title} found={one} {...props} />);
}

async function lastLines(appGuid: string, signal: AbortSignal) {
  const path = withQuery(`/api/v1/read/${appGuid}`, {
    envelope_types: 'LOG',
    descending: 'true',
    start_time: '0',
    limit: String(LINES_MAX),
  });
  const { envelopes } = await read(readLogEnvelopes, path, { signal });
  return (envelopes?.batch ?? []).map(logLine).toReversed();
}

function TroublePanel({ found, app, former, readOnly }: Props & { found: Found }) {
  const { title, reason, explained } = found;
  return (
    <section className="trouble" aria-label="What is wrong">
      <h2>{title}.</h2>
      <p>{sentence(reason)}</p>
      {explained.evidence !== null && <code className="evidence">{explained.evidence}</code>}
      <p>{explained.mend}</p>
      <div className="row" style={{ marginTop: 10 }}>
        <Mend found={found} app={app} former={former} readOnly={readOnly} />
        <span className="command">
          <code>{explained.next}</code>
          <Copy text={explained.next} what="the next command" />
        </span>
        <span className="quiet small mono">{explained.page}</span>
      </div>
    </section>
  );
}

type MendProps = Pick<Props, 'app' | 'former' | 'readOnly'> & { found: Found };

/** What this page itself can do about it: give more, go back to what ran before, or try again. */
function Mend({ found: { explained, process, deployment }, app, former, readOnly }: MendProps) {
  const more = / scale \S+ -([mk]) (\d+)M$/.exec(explained.next);
  if (process !== null && more !== null) {
    const [, kind, mb = ''] = more;
    const commands = scaleApp(app, process, kind === 'm' ? { memory_in_mb: Number(mb) } : { disk_in_mb: Number(mb) });
    return (
      <Action
        label={`Give it ${mb}M and restart`}
        kind="main-action"
        commands={commands}
        disabledBecause={readOnly}
        run={() => carryOutAll([commands, changeState(app, 'restart')])}
        done={`${app.name} has ${mb}M now, and is restarted.`}
      />
    );
  }
  if (process === null)
    return (
      <a className="button main-action" href="#push">
        Push a mended version
      </a>
    );
  if (deployment !== null) {
    const commands = cancelDeployment(app, deployment.guid);
    return (
      <Action
        label="Cancel the deployment"
        kind="main-action"
        commands={commands}
        disabledBecause={readOnly}
        run={() => carryOut(commands)}
        done="The deployment is cancelled; the version before serves."
      />
    );
  }
  if (former !== null && former.deployable !== false) {
    const commands = rollBack(app, former);
    return (
      <Action
        label={`Go back to revision ${former.version}`}
        kind="main-action"
        commands={commands}
        disabledBecause={readOnly}
        run={() => carryOut(commands)}
        done={`Revision ${former.version} is being deployed.`}
      />
    );
  }
  const commands = changeState(app, 'restart');
  return (
    <Action
      label="Restart it"
      commands={commands}
      disabledBecause={readOnly}
      run={() => carryOut(commands)}
      done={`${app.name} is restarted.`}
    />
  );
}
