/** What needs somebody first, then how much there is, then the spaces. */
import { useQuery, useSuspenseQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type Card, cardsOf } from '../apps/overview.ts';
import { NeedsOperator } from '../cluster/needs-operator.tsx';
import { clusterQuery, overviewQuery, spacesQuery } from '../data/queries.ts';
import { useSession } from '../data/session.tsx';
import { FirstSteps } from '../ui/first-steps.tsx';
import { StateWord } from '../ui/state-word.tsx';
import { useTitle } from '../ui/use-title.ts';

export function HomePage() {
  useTitle('Home');
  const { data } = useSuspenseQuery(overviewQuery(null));
  const { data: spaces } = useSuspenseQuery(spacesQuery);
  const { data: cluster } = useQuery({ ...clusterQuery, enabled: useSession().user.is_admin });
  const cards = cardsOf(data);
  const needs = cards.filter(({ health }) => health.tone === 'bad' || health.tone === 'moving');
  const count = (tone: string): number => cards.filter(({ health }) => health.tone === tone).length;
  const nameOf = new Map(spaces.map(space => [space.guid, `${space.organization} / ${space.name}`]));
  if (spaces.length === 0) return <NoSpaces />;
  return (
    <>
      <div className="page-head">
        <h1>{headline(count('bad'), count('moving'), cards.length)}</h1>
      </div>
      <dl className="summary">
        {(
          [
            ['in trouble', count('bad'), 'bad'],
            ['moving', count('moving'), 'moving'],
            ['running', count('good'), 'good'],
            ['stopped or empty', count('off'), 'off'],
            ['spaces', spaces.length, ''],
          ] as const
        ).map(([label, value, tone]) => (
          <div key={label}>
            <dt className="label">{label}</dt>
            <dd className={value > 0 && tone !== '' ? `tone-${tone}` : ''}>{value}</dd>
          </div>
        ))}
      </dl>
      {cluster && <NeedsOperator cluster={cluster} />}
      {needs.length > 0 && <Attention cards={needs} nameOf={nameOf} />}
      {cards.length === 0 && <FirstSteps organization={spaces[0]?.organization ?? ''} space={spaces[0]?.name ?? ''} />}
      <section className="sheet" aria-labelledby="spaces-title">
        <header>
          <h2 id="spaces-title">Spaces</h2>
        </header>
        <div className="scrolls">
          <table>
            <thead>
              <tr>
                <th className="label">space</th>
                <th className="label">apps</th>
                <th className="label">in trouble</th>
              </tr>
            </thead>
            <tbody>
              {spaces.map(space => {
                const own = cards.filter(({ spaceGuid }) => spaceGuid === space.guid);
                const bad = own.filter(({ health }) => health.tone === 'bad').length;
                return (
                  <tr key={space.guid}>
                    <td className="wide">
                      <Link to="/spaces/$guid" params={{ guid: space.guid }}>
                        {space.organization} / {space.name}
                      </Link>
                    </td>
                    <td className="number">{own.length}</td>
                    <td className={`number ${bad > 0 ? 'tone-bad' : ''}`}>{bad}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}

function headline(bad: number, moving: number, all: number): string {
  if (all === 0) return 'Nothing is pushed yet.';
  if (bad > 0) return bad === 1 ? 'One app needs you.' : `${bad} apps need you.`;
  return moving > 0 ? 'All is well, and something moves.' : 'All is well.';
}

function Attention({ cards, nameOf }: { cards: readonly Card[]; nameOf: ReadonlyMap<string, string> }) {
  return (
    <section className="sheet" aria-labelledby="attention-title">
      <header>
        <h2 id="attention-title">Look here first</h2>
      </header>
      <ul className="attention">
        {cards.map(card => (
          <li key={card.guid}>
            <StateWord health={card.health} />
            <Link to="/apps/$guid" params={{ guid: card.guid }}>
              {card.name}
            </Link>
            <span className="quiet small">{nameOf.get(card.spaceGuid) ?? ''}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function NoSpaces() {
  return (
    <>
      <div className="page-head">
        <h1>You are in no space yet.</h1>
      </div>
      <p>
        Apps live in spaces. Who manages an organization lets you into one:{' '}
        <code>cf set-space-role YOU ORG SPACE SpaceDeveloper</code>. Load this page again afterwards.
      </p>
    </>
  );
}
