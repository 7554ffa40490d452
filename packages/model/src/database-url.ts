/** What an app finds as `DATABASE_URL` of the services that it is bound to (CF: database_uri_generator.rb). */

/** As the schemes are for who reads `DATABASE_URL`: Rails first of all. */
const SCHEMES = new Map([
  ['mysql', 'mysql2'],
  ['mysql2', 'mysql2'],
  ['postgres', 'postgres'],
  ['postgresql', 'postgres'],
]);

/**
 * The first of `uris` that leads to a relational database; null where none does.
 * @param uris `credentials.uri` of the bindings, oldest first; anything, since users write it.
 */
export function databaseUrl(uris: readonly unknown[]): string | null {
  for (const uri of uris) {
    const [, scheme = '', rest] = typeof uri === 'string' ? (/^\s*(\w+)(:\/\/\S+)\s*$/.exec(uri) ?? []) : [];
    const adapter = SCHEMES.get(scheme.toLowerCase());
    if (adapter !== undefined) return `${adapter}${rest}`;
  }
  return null;
}
