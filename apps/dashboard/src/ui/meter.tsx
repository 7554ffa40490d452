import type { ReactNode } from 'react';

/** Of a limit: nearer than this is shown before it hurts, as `cupola doctor` does. */
const NEARLY = 0.9;

/** How much of a limit is used: in words, and as a bar. `part`: 0 to 1; more is over it. */
export function Meter({ part, text }: { part: number; text: ReactNode }) {
  const share = Math.min(1, part);
  const kind = share >= 1 ? 'over' : share > NEARLY ? 'near' : '';
  return (
    <div className={`meter ${kind}`}>
      <span className="number">{text}</span>
      <div className="track" aria-hidden="true">
        <i style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  );
}
