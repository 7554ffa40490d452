/**
 * Hosts of the platform itself on its own domain. The router sends them to the API, whatever the routes say; nobody else may have them (threats.md 18).
 */

/** Served by the API, each of them: clients that read `GET /` find everything at the host that they asked (CF has a server for each). */
const API_HOSTS = ['api', 'login', 'uaa', 'log-cache', 'log-stream', 'registry'] as const;

/** Kept for parts to come, beside those of the API. */
export const RESERVED_HOSTS: readonly string[] = [...API_HOSTS, 'git', 'ssh'];

/** Whole names of those that the API serves on `domain`. */
export function apiHostNames(domain: string): string[] {
  return API_HOSTS.map(host => `${host}.${domain}`);
}
