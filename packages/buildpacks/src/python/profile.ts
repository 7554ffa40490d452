/** What a Python app finds in its environment: sourced before each start. Variables that the user has set stay as they are. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stage } from '../buildpack.ts';

export async function writePythonProfile({ app, deps, profileD }: Stage): Promise<void> {
  const folder = join(deps, 'venv');
  await writeFile(
    join(profileD, 'python.sh'),
    `export PATH="${join(folder, 'bin')}:$PATH"
export VIRTUAL_ENV="${folder}"
export PYTHONPATH="\${PYTHONPATH:-${app}}"
export PYTHONUNBUFFERED="\${PYTHONUNBUFFERED:-1}"
export PYTHONHASHSEED="\${PYTHONHASHSEED:-random}"
export LANG="\${LANG:-C.UTF-8}"
# The router is the only one who speaks to the app: what it says about the client is true (gunicorn, uvicorn).
export FORWARDED_ALLOW_IPS="\${FORWARDED_ALLOW_IPS:-*}"
export GUNICORN_CMD_ARGS="\${GUNICORN_CMD_ARGS:---access-logfile -}"
`,
  );
}
