/** Names of images, as people write them. */

export interface Reference {
  /** With its port, where it names one. */
  host: string;
  name: string;
  /** What to ask for: a tag, or `sha256:...`. */
  reference: string;
}

const NAME = '[a-z0-9]+(?:(?:\\.|_{1,2}|-+|/)[a-z0-9]+)*';
const REST = `(?<name>${NAME})(?::(?<tag>[\\w][\\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$`;
const WITH_HOST = new RegExp(`^(?<host>[a-z0-9.-]+(?::\\d{1,5})?)/${REST}`);
const WITHOUT_HOST = new RegExp(`^${REST}`);
/** Whom Docker asks for a name without a host, and the names that it has for it. */
const HUB = 'registry-1.docker.io';
const HUB_NAMES = ['docker.io', 'index.docker.io', HUB];

/** `HOST[:PORT]/NAME[:TAG][@DIGEST]`; null for what names no registry. A digest says more than a tag. */
export function parseReference(text: string): Reference | null {
  const { host = '', ...rest } = WITH_HOST.exec(text)?.groups ?? {};
  if (!(/[.:]/.test(host) || host === 'localhost')) return null;
  return { host, ...asked(rest) };
}

/** As Docker reads it: a name without a host is Docker Hub's, and one without a folder lies in its `library`. Null for what is no name. */
export function parseImage(text: string): Reference | null {
  const found = parseReference(text);
  if (found !== null && !HUB_NAMES.includes(found.host)) return found;
  const groups = found === null ? WITHOUT_HOST.exec(text)?.groups : undefined;
  const inHub = found ?? (groups === undefined ? null : asked(groups));
  if (inHub === null) return null;
  return { ...inHub, host: HUB, name: inHub.name.includes('/') ? inHub.name : `library/${inHub.name}` };
}

/** The same image for ever: as it was written, with the digest that it stood for. */
export function pinned(text: string, digest: string): string {
  return `${text.replace(/@.*$/, '')}@${digest}`;
}

function asked({ name = '', tag, digest }: Record<string, string>): Omit<Reference, 'host'> {
  return { name, reference: digest ?? tag ?? 'latest' };
}
