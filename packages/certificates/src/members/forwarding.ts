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
