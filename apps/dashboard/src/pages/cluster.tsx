/** The platform itself: machines, who leads, what is built, how full it is; and a cell is drained here. For admins. */
import type { Cluster } from '@cupola/contract/v3/cluster';
import { useSuspenseQuery } from '@tanstack/react-query';
import { Cells } from '../cluster/cells.tsx';
import { NeedsOperator } from '../cluster/needs-operator.tsx';
import { Sandboxes } from '../cluster/sandboxes.tsx';
import { clusterQuery } from '../data/queries.ts';
import { Since } from '../ui/since.tsx';
import { useTitle } from '../ui/use-title.ts';
import { NotThere } from './not-there.tsx';

export function ClusterPage() {
  useTitle('Cluster');
  const { data } = useSuspenseQuery(clusterQuery);
  if (data === null) return <NotThere what="page" />;
  const lost = data.cells.filter(({ state }) => state === 'LOST').length;
  return (
    <>
      <div className="page-head">
        <h1>{data.cells.length === 1 ? 'One machine runs apps.' : `${data.cells.length} machines run apps.`}</h1>
        <span className="quiet">Cupola {data.version}</span>
      </div>
      <Facts cluster={data} lost={lost} />
      <NeedsOperator cluster={data} />
      <Cells cells={data.cells} />
      <Sandboxes cells={data.cells} />
      {data.members.length > 0 ? <Members members={data.members} /> : <HowToGrow />}
      <InTheLead cluster={data} />
    </>
  );
}

function Facts({ cluster: { cells, builds, disk_in_mb: disk }, lost }: { cluster: Cluster; lost: number }) {
  const facts = [
    ['instances', String(cells.reduce((sum, { instances }) => sum + instances.running, 0)), ''],
    ['cells lost', String(lost), lost > 0 ? 'tone-bad' : ''],
    ['builds', String(builds.staging), ''],
    ['builds waiting', String(builds.waiting), builds.waiting > 0 ? 'tone-moving' : ''],
    ['disk free, GB', gigabytes(disk.free), disk.free < disk.kept_free ? 'tone-bad' : ''],
  ] as const;
  return (
    <dl className="summary">
      {facts.map(([label, value, tone]) => (
        <div key={label}>
          <dt className="label">{label}</dt>
          <dd className={tone}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Nobody needs it day by day. */
function InTheLead({ cluster: { disk_in_mb: disk, scheduler } }: { cluster: Cluster }) {
  return (
    <p className="quiet small">
      Scheduler in the lead: <code>{scheduler.leader?.slice(0, 8) ?? 'none yet'}</code>, term {scheduler.terms}.
      Packages and droplets lie on a disk of {gigabytes(disk.total)} GB; pushes are refused below{' '}
      {gigabytes(disk.kept_free)} GB.
    </p>
  );
}

const gigabytes = (mb: number): string => (mb / 1_024).toFixed(mb < 10_240 ? 1 : 0);

function Members({ members }: { members: Cluster['members'] }) {
  return (
    <section className="sheet" aria-labelledby="members-title">
      <header>
        <h2 id="members-title">Members</h2>
        <span className="quiet small">machines that have joined, and what they do</span>
      </header>
      <div className="scrolls">
        <table>
          <tbody>
            {members.map(({ id, host_name, roles, joined_at }) => (
              <tr key={id}>
                <td>{host_name}</td>
                <td className="number">{id}</td>
                <td className="wide small">{roles.join(', ')}</td>
                <td className="quiet small">
                  <Since at={Date.parse(joined_at)} after=" ago" />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function HowToGrow() {
  return (
    <section className="sheet" aria-labelledby="grow-title">
      <header>
        <h2 id="grow-title">More machines</h2>
      </header>
      <div className="body stack small">
        <p>All runs on this machine. Another one takes apps, builds and requests as well, by two commands:</p>
        <p>
          here <code>./cupola up --cluster-listen 0.0.0.0:7443</code>, then <code>./cupola cluster token</code>; there
          the <code>./cupola join</code> that it prints.
        </p>
      </div>
    </section>
  );
}
