import type { Cluster } from '@cupola/contract/v3/cluster';
import { useNow } from '../ui/since.tsx';
import { StateWord } from '../ui/state-word.tsx';
import { attentionOf } from './attention.ts';

/** Nothing while all is well. */
export function NeedsOperator({ cluster }: { cluster: Cluster }) {
  const found = attentionOf(cluster, useNow());
  if (found.length === 0) return null;
  return (
    <section className="sheet" aria-labelledby="operator-title">
      <header>
        <h2 id="operator-title">The platform needs you</h2>
      </header>
      <ul className="attention">
        {found.map(({ key, ...health }) => (
          <li key={key}>
            <StateWord health={health} />
            <span>{health.text}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
