/**
 * How Go's compilers keep to a build's memory. They take more of it than most: one package of the framework Gin takes 1.2 GB with what Go does by itself,
 * and 0.8 GB where it is told a limit, in twice the time. And Go runs as many of them at once as there are processors.
 */

/** From here on a compiler collects its garbage more often; what it really needs it takes all the same. */
const SHARE_OF_ONE = 0.4;
/** What most packages take. */
const USUAL_MB = 256;
const MEMORY = /^(\d+)m$/;

/** @param memoryLimit as builds are told it: `1024m`; anything else says nothing. */
export function compilerLimits(
  memoryLimit: string | undefined,
  processors: number,
): { flags: string[]; variables: Record<string, string> } {
  const memoryMb = Number(MEMORY.exec(memoryLimit ?? '')?.[1] ?? 0);
  if (memoryMb === 0) return { flags: [], variables: {} };
  const atOnce = Math.max(1, Math.min(processors, Math.floor(memoryMb / USUAL_MB)));
  return {
    flags: [`-p=${atOnce}`],
    variables: { GOMEMLIMIT: `${Math.floor(memoryMb * SHARE_OF_ONE)}MiB` },
  };
}
