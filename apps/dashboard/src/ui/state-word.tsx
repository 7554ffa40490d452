import type { Health, Tone } from '../apps/health.ts';

/** Of each tone a shape of its own, for who does not tell the colours apart. */
function Shape({ tone }: { tone: Tone }) {
  return (
    <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" fill="currentColor">
      {tone === 'good' && <circle cx="6" cy="6" r="5" />}
      {tone === 'bad' && <path d="M6 0.5 12 11.5H0z" />}
      {tone === 'off' && (
        <rect x="1.5" y="1.5" width="9" height="9" fill="none" stroke="currentColor" strokeWidth="2" />
      )}
      {tone === 'moving' && (
        <path className="turns" d="M6 1a5 5 0 1 1-5 5" fill="none" stroke="currentColor" strokeWidth="2.2" />
      )}
    </svg>
  );
}

export function StateWord({ health }: { health: Health }) {
  return (
    <span className={`state tone-${health.tone}`}>
      <Shape tone={health.tone} />
      {health.word}
    </span>
  );
}
