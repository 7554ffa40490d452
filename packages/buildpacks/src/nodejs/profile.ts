/** What a Node.js app finds in its environment: sourced before each start. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stage, Toolchain } from '../buildpack.ts';

/** Of the memory limit for V8's old space, as CF's `OPTIMIZE_MEMORY`: inside a sandbox Node.js sees the machine's memory, and would grow until it is killed. */
const HEAP_PERCENT = 75;

/** Variables that the user has set stay as they are. */
export async function writeNodeProfile(stage: Stage, node: Toolchain, others: readonly Toolchain[]): Promise<void> {
  const folders = [join(stage.deps, 'bin'), ...[...others, node].map(({ path }) => join(path, 'bin'))];
  await writeFile(
    join(stage.profileD, 'node.sh'),
    `export PATH="${folders.join(':')}:$PATH:${join(stage.app, 'node_modules/.bin')}"
export NODE_HOME="${node.path}"
export NODE_ENV="\${NODE_ENV:-production}"
export WEB_MEMORY="\${WEB_MEMORY:-512}"
export WEB_CONCURRENCY="\${WEB_CONCURRENCY:-1}"
case "\${MEMORY_LIMIT:-}" in
  *[0-9][mM]) MEMORY_AVAILABLE=\${MEMORY_LIMIT%[mM]} ;;
  *[0-9][gG]) MEMORY_AVAILABLE=$((\${MEMORY_LIMIT%[gG]} * 1024)) ;;
esac
if [ -n "\${MEMORY_AVAILABLE:-}" ]; then
  export MEMORY_AVAILABLE
  case "\${NODE_OPTIONS:-}" in
    *max-old-space-size* | *max_old_space_size*) ;;
    *) export NODE_OPTIONS="\${NODE_OPTIONS:+$NODE_OPTIONS }--max-old-space-size=$((MEMORY_AVAILABLE * ${HEAP_PERCENT} / 100))" ;;
  esac
fi
`,
  );
}
