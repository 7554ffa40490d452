import { useQuery } from '@tanstack/react-query';
import { reasonOf } from '../apps/overview.ts';
import { nowThere } from '../data/http.ts';
import { routesQuery } from '../data/queries.ts';
import type { App } from '../data/read.ts';
import { usePush, usePushes } from '../push/pushes.ts';
import { Action } from '../ui/action.tsx';
import { useNow } from '../ui/since.tsx';
import { cancelDeployment, continueDeployment } from './commands.ts';
import { type PhaseFacts, phasesOf } from './deploy-phases.ts';
import { carryOut } from './do.ts';

type Props = Omit<PhaseFacts, 'now' | 'app' | 'routes' | 'push'> & { app: App; readOnly: string | null };

export function Phases(facts: Props) {
  const { app, build, deployment, readOnly } = facts;
  const { data: routes = [] } = useQuery(routesQuery(app.guid));
  const push = usePush(app.guid);
  const pushes = usePushes();
  useNow(); // The seconds go on.
  const phases = phasesOf({ ...facts, routes: routes.length, push, now: nowThere() });
  const reason = reasonOf(deployment);
  // What a build failed of stands above, with what mends it.
  const failure = push?.phase === 'failed' && build?.state !== 'FAILED' ? push.says : null;
  if (phases.length === 0 && failure === null) return null;
  const cancel = cancelDeployment(app, deployment?.guid ?? '');
  const goOn = continueDeployment(app, deployment?.guid ?? '');
  return (
    <section className="deployment" aria-label="Deployment">
      <ol className="phases">
        {phases.map(({ name, tone, says }) => (
          <li key={name} className={tone}>
            <span className="label">{name}</span>
            <div className="number">{says}</div>
          </li>
        ))}
      </ol>
      {failure !== null && <p className="refusal">The push has ended: {failure}</p>}
      {(push !== null || reason !== null || phases.some(({ tone }) => tone === 'moving')) && (
        <p className="row">
          {push !== null && (
            <button type="button" className="button" onClick={() => pushes.end(app.guid)}>
              {push.phase === 'failed' ? 'Put away' : 'Cancel this push'}
            </button>
          )}
          {reason === 'PAUSED' && (
            <Action
              label="Go on"
              kind="main-action"
              commands={goOn}
              disabledBecause={readOnly}
              run={() => carryOut(goOn)}
              done="The deployment goes on."
            />
          )}
          {reason !== null && (
            <Action
              label="Cancel the deployment"
              commands={cancel}
              disabledBecause={readOnly}
              run={() => carryOut(cancel)}
              done="The deployment is cancelled; the version before serves."
            />
          )}
          <a className="quiet small" href="#log">
            its log
          </a>
        </p>
      )}
    </section>
  );
}
