import { Link } from '@tanstack/react-router';
import { usePlatform } from '../data/session.tsx';
import { StateWord } from '../ui/state-word.tsx';
import { memory } from '../ui/time.ts';
import { toneOfInstance } from './health.ts';
import { type Card, linkOf } from './overview.ts';

/** So many instances are drawn each; of more the number says it all. */
const DOTS_MAX = 24;

export function AppCards({ cards }: { cards: readonly Card[] }) {
  return (
    <ul className="cards">
      {cards.map(card => (
        <AppCard key={card.guid} card={card} />
      ))}
    </ul>
  );
}

function AppCard({ card }: { card: Card }) {
  const platform = usePlatform();
  const [url] = card.urls;
  const running = card.states.filter(state => state === 'RUNNING').length;
  return (
    <li className={`card tone-${card.health.tone}`}>
      <div className="top">
        <h3>
          <Link to="/apps/$guid" params={{ guid: card.guid }}>
            {card.name}
          </Link>
        </h3>
        <StateWord health={card.health} />
      </div>
      <div className="routes small">
        {url === undefined ? (
          <span className="quiet">no route</span>
        ) : (
          <a className="mono" href={linkOf(url, platform)} target="_blank" rel="noreferrer">
            {url}
          </a>
        )}
        {card.urls.length > 1 && <span className="quiet"> and {card.urls.length - 1} more</span>}
      </div>
      <div className="facts small">
        {card.process !== null && (
          <span className="number">
            {running}/{card.process.instances} × {memory(card.process.memory_in_mb)}
          </span>
        )}
        {card.states.length > 0 && card.states.length <= DOTS_MAX && <Dots states={card.states} />}
      </div>
    </li>
  );
}

function Dots({ states }: { states: readonly string[] }) {
  return (
    <span className="dots" aria-hidden="true">
      {states.map((state, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the place is the instance's index.
        <i key={index} className={`tone-${toneOfInstance(state)}`} title={`instance ${index}: ${state}`} />
      ))}
    </span>
  );
}
