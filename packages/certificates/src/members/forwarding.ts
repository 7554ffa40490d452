/**
 * How routers reach an instance on another machine, through its agent: a TLS connection to the agent whose server name is the instance's guid. The agent
 * connects to the instance, answers with one byte, and passes on what comes from then on. An instance that is not there any more, or does not take the
 * connection, is told by the connection's end before that byte: nothing of the request has reached anybody.
 */

/** Said by the agent once the instance has taken the connection. */
export const CONNECTED = 0x01;

const SUFFIX = '.instance.cupola';

export const forwardName = (instanceGuid: string): string => `${instanceGuid}${SUFFIX}`;

/** Instead of a guid: the agent says {@link CONNECTED}, and sends back whatever it hears, so that a router knows that the machine is there. */
export const LINK = 'link';

/** Null when the name is none of ours. */
export function forwardedGuid(serverName: string | null | undefined | false): string | null {
  if (typeof serverName !== 'string' || !serverName.endsWith(SUFFIX)) return null;
  return serverName.slice(0, -SUFFIX.length);
}

/** Another instance's connection, which its agent passes on: not to the port that the app serves, but to the one that it has dialled. */
export interface PeerCall {
  /** On the machine of the agent that dials. */
  sourceGuid: string;
  instanceGuid: string;
  port: number;
}

const PEER_SUFFIX = '.peer.cupola';

export const peerName = ({ sourceGuid, instanceGuid, port }: PeerCall): string =>
  `${port}.${instanceGuid}.${sourceGuid}${PEER_SUFFIX}`;

/** Null when the name is none of ours. */
export function readPeerName(serverName: string | null | undefined | false): PeerCall | null {
  if (typeof serverName !== 'string') return null;
  const { port, instanceGuid, sourceGuid } =
    /^(?<port>\d{1,5})\.(?<instanceGuid>[^.]+)\.(?<sourceGuid>[^.]+)\.peer\.cupola$/.exec(serverName)?.groups ?? {};
  if (port === undefined || instanceGuid === undefined || sourceGuid === undefined) return null;
  return { sourceGuid, instanceGuid, port: Number(port) };
}
