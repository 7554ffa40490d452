/** git:hook: a post-receive hook for a git server of the user's own, which hands on to the platform what is pushed there. */
import type { CliContext } from '../context.ts';
import { remoteUrl } from './git.ts';

/** In single quotes of a shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A POSIX shell's; git alone is needed where it runs. */
function script({ app, url, branch }: { app: string; url: string; branch: string }): string {
  return `#!/bin/sh
# post-receive: what is pushed to this repository's branch is deployed by Cupola, as ${app.replaceAll(/[^ -~]/g, '?')}; its build shows behind "remote:".
# Put it into hooks/post-receive of the bare repository and make it executable (chmod +x).
# Login: a file of two lines, user name and password, that only this repository's user may read (chmod 600); or an address like ssh://git@HOST:PORT/ORG/SPACE/APP.git
# as url, with a key that was added by: cupola ssh-keys add
url=${quoted(url)}
branch=${quoted(branch)}
login=\${CUPOLA_LOGIN:-$HOME/.cupola-login}

status=0
while read -r before after ref; do
  [ "$ref" = "refs/heads/$branch" ] || continue
  case $after in *[!0]*) ;; *) continue ;; esac # It was removed here: what runs goes on.
  case $url in
    http*) [ -r "$login" ] || { echo "Not deployed: write user name and password into $login, a line each."; exit 1; } ;;
  esac
  CUPOLA_LOGIN=$login GIT_TERMINAL_PROMPT=0 git -c credential.helper= \\
    -c credential.helper='!f() { test "$1" = get || return 0; { read -r user; read -r password; } <"$CUPOLA_LOGIN"; printf "username=%s\\\\npassword=%s\\\\n" "$user" "$password"; }; f' \\
    push --force --quiet "$url" "$after:refs/heads/$branch" || { status=1; echo "Not deployed: see above. The login is that of $login."; }
done
exit $status
`;
}

export async function gitHook(context: CliContext, app: string, { branch }: { branch: string }): Promise<void> {
  const hook = script({ app, branch, url: remoteUrl(context, app) });
  context.result({ app, branch, script: hook }, hook.trimEnd());
}
