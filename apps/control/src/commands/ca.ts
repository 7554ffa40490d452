/** `cupola ca`: the certificate of the platform's own CA on stdout, and on stderr how the usual programs come to trust it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataFolder, PlainError } from '../platform-config.ts';

export async function ca(flags: { data?: string }): Promise<void> {
  const data = dataFolder(flags.data);
  const file = join(data, 'state', 'tls', 'ca.pem');
  if (!existsSync(file)) throw new PlainError(`No CA has been made in ${data} yet. Start the platform: ./cupola up`);
  process.stdout.write(readFileSync(file, 'utf8'));
  console.error(
    [
      '',
      `That is ${file}. Trust it where you ask for https addresses of this platform, and nowhere else: who has its key can`,
      'pretend to be any site to a machine that trusts it.',
      '',
      '  one program   curl --cacert FILE ...     cf: SSL_CERT_FILE=FILE cf login ...     node: NODE_EXTRA_CA_CERTS=FILE',
      '  Debian        cp FILE /usr/local/share/ca-certificates/cupola.crt && update-ca-certificates',
      '  macOS         security add-trusted-cert -k ~/Library/Keychains/login.keychain-db FILE',
      '  not at all    cf login --skip-ssl-validation ...     curl -k ...',
    ].join('\n'),
  );
}
