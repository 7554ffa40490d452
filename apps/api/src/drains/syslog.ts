/**
 * A log line as a syslog message (RFC 5424) in the form that Cloud Foundry's drains have (loggregator-agent-release, pkg/egress/syslog/rfc5424.go): host is
 * org, space and app, app-name the app's guid, proc-id the source; tags in structured data under Cloud Foundry's enterprise number.
 */
import type { LogLine } from '@cupola/logs/log-store';

/** Names for the messages of one app. */
export interface AppNames {
  appGuid: string;
  appName: string;
  spaceGuid: string;
  spaceName: string;
  organizationGuid: string;
  organizationName: string;
}

/** user.info and user.error. */
const PRIORITY = { OUT: 14, ERR: 11 } as const;
/** RFC 5424 section 6. */
const HOST_MAX = 255;
const PROC_ID_MAX = 128;
const NIL = '-';

/** One message without framing, ending in a line feed as CF's do. */
export function syslogMessage(names: AppNames, line: LogLine): string {
  const { sourceType, instanceId, type, timestampNs } = line;
  const host = [names.organizationName, names.spaceName, names.appName].map(hostLabel).join('.').slice(0, HOST_MAX);
  const procId = printable(`[${sourceType}/${instanceId}]`.toUpperCase()).slice(0, PROC_ID_MAX);
  const head = `<${PRIORITY[type]}>1 ${rfc3339(timestampNs)} ${host || NIL} ${names.appGuid} ${procId} ${NIL}`;
  return `${head} ${structuredData(names, line)} ${line.line}\n`;
}

/** Octet counting (RFC 6587 section 3.4.1): a line feed within a message ends nothing. */
export function framed(message: string): Buffer {
  const bytes = Buffer.from(message, 'utf8');
  return Buffer.concat([Buffer.from(`${bytes.length} `, 'latin1'), bytes]);
}

function structuredData(names: AppNames, { sourceType, instanceId }: LogLine): string {
  const tags = {
    app_id: names.appGuid,
    app_name: names.appName,
    instance_id: instanceId,
    organization_id: names.organizationGuid,
    organization_name: names.organizationName,
    ...(sourceType.startsWith('APP/PROC/') ? { process_type: sourceType.slice('APP/PROC/'.length).toLowerCase() } : {}),
    source_type: sourceType,
    space_id: names.spaceGuid,
    space_name: names.spaceName,
  };
  const fields = Object.entries(tags).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `[tags@47450 ${fields.join(' ')}]`;
}

/** Microseconds, as CF writes them: RFC 5424 allows no finer ones. */
function rfc3339(timestampNs: bigint): string {
  const seconds = new Date(Number(timestampNs / 1_000_000n)).toISOString().slice(0, 19);
  const micros = String((timestampNs / 1_000n) % 1_000_000n).padStart(6, '0');
  return `${seconds}.${micros}+00:00`;
}

/** As CF: blanks become hyphens, and what no host name has goes. */
function hostLabel(name: string): string {
  return name
    .replaceAll(/\s/g, '-')
    .replaceAll(/[^A-Za-z0-9-]/g, '')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, '');
}

function printable(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]/g, '_');
}

/** RFC 5424 section 6.3.3; control characters could end the message for a careless reader. */
function escaped(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
  return value.replaceAll(/[\u0000-\u001f\u007f]/g, ' ').replaceAll(/["\\\]]/g, char => `\\${char}`);
}
