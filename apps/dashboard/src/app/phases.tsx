import { reasonOf } from '../apps/overview.ts';
import type { App } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { useNow } from '../ui/since.tsx';
import { cancelDeployment } from './commands.ts';
import { type PhaseFacts, phasesOf } from './deploy-phases.ts';
import { carryOut } from './do.ts';

export function Phases(facts: Omit<PhaseFacts, 'now' | 'app'> & { app: App; readOnly: string | null }) {
  const phases = phasesOf({ ...facts, now: useNow() });
  if (phases.length === 0) return null;
  const { app, deployment, readOnly } = facts;
  const isDeploying = reasonOf(deployment) !== null;
  const cancel = cancelDeployment(app, deployment?.guid ?? '');
  return (
    <>
      <ol className="phases" aria-label="Deployment">
        {phases.map(({ name, tone, says }) => (
          <li key={name} className={tone}>
            <span className="label">{name}</span>
            <div className="number">{says}</div>
          </li>
        ))}
      </ol>
      {isDeploying && (
        <p className="row" style={{ marginBottom: 18 }}>
          <Action
            label="Cancel, and keep the version before"
            commands={cancel}
            disabledBecause={readOnly}
            run={() => carryOut(cancel)}
            done="The deployment is cancelled; the version before serves."
          />
        </p>
      )}
    </>
  );
}
