/** Whose key it is, asked of the API: with the secret of this part, and with what the client has signed. Neither alone gets a token. */
import type { Transport } from '@cupola/client/transport';
import { sshLoginAnswer } from '@cupola/contract/v3/ssh-key';

interface Proof {
  readonly signed: Buffer;
  readonly signature: Buffer;
  readonly hash: 'sha256' | 'sha512' | null;
}

export interface SshLogins {
  /** A token for who has proven that the key is theirs; null for a key that is known and only offered. */
  ask(key: Buffer, proof: Proof | null): Promise<string | null | 'refused'>;
}

const UNAUTHENTICATED = 401;

export function createSshLogins(transport: Transport, { url, secret }: { url: string; secret: string }): SshLogins {
  return {
    ask: async (key, proof) => {
      const told =
        proof === null
          ? null
          : {
              signed: proof.signed.toString('base64'),
              signature: proof.signature.toString('base64'),
              hash: proof.hash,
            };
      const { status, text } = await transport.exchange({
        method: 'POST',
        url: `${url}/v3/ssh_logins`,
        headers: { authorization: `bearer ${secret}`, 'content-type': 'application/json' },
        body: () => JSON.stringify({ key: key.toString('base64'), proof: told }),
      });
      if (status === UNAUTHENTICATED) return 'refused';
      if (status !== 200) throw new Error(`the API has answered ${status}`);
      const { token } = sshLoginAnswer.parse(JSON.parse(text));
      return proof !== null && token === null ? 'refused' : token;
    },
  };
}
