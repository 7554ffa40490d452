import type { ClusterCell } from '@cupola/contract/v3/cluster';

/** In the words of docs/sandboxes.md, in its order. */
const PROTECTIONS: ReadonlyArray<readonly [key: string, label: string]> = [
  ['fs', 'files'],
  ['pid', 'processes'],
  ['net', 'network'],
  ['egress', 'what it may reach'],
  ['uid', 'own user'],
  ['userns', 'no real root'],
  ['seccomp', 'system calls'],
  ['mem', 'memory'],
  ['cpu', 'processor'],
  ['pids', 'process count'],
  ['disk', 'disk'],
];

/** What keeps apps apart from each other and from the machine, as tried at each agent's start. */
export function Sandboxes({ cells }: { cells: readonly ClusterCell[] }) {
  return (
    <section className="sheet" aria-labelledby="sandboxes-title">
      <header>
        <h2 id="sandboxes-title">What each sandbox enforces</h2>
        <span className="quiet small">as tried when the cell came up</span>
      </header>
      <div className="scrolls">
        <table>
          <thead>
            <tr>
              <th className="label">cell</th>
              <th className="label">sandbox</th>
              {PROTECTIONS.map(([key, label]) => (
                <th key={key} className="label">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {cells.map(({ guid, name, sandbox }) => (
              <tr key={guid}>
                <td>{name}</td>
                <td className="number">{sandbox.name}</td>
                {PROTECTIONS.map(([key]) => (
                  <td key={key} className={`small ${sandbox.enforced[key] === true ? 'tone-good' : 'tone-bad'}`}>
                    {sandbox.enforced[key] === true ? 'yes' : 'no'}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {cells.some(({ sandbox }) => sandbox.missing.length > 0) && (
        <ul className="body stack small">
          {cells.flatMap(({ guid, name, sandbox }) =>
            sandbox.missing.map(what => (
              <li key={`${guid} ${what}`}>
                <strong>{name}</strong>: {what}
              </li>
            )),
          )}
        </ul>
      )}
    </section>
  );
}
