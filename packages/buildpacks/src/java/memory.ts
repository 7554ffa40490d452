/**
 * What the JVM may take of an instance's memory, worked out at each start: `cf scale -m` needs no new droplet. CF's memory calculator keeps the same regions
 * (metaspace by the number of classes, code cache, direct memory, stacks) and refuses to start what is too small for its defaults; here the regions shrink
 * with the limit, so that a small service starts in 256 MB.
 */

/** Classes of the JDK that an app loads some of, and the share of all classes that is loaded (CF: java-buildpack-memory-calculator). */
const JDK_CLASSES = 28_000;
const LOADED_SHARE = 0.35;
const CLASS_BYTES = 5_800;
/** Of the metaspace, whatever is loaded. */
const METASPACE_BASE_MB = 14;

/** Mebibytes of metaspace that so many classes of an app need. */
export function metaspaceMb(classes: number): number {
  return METASPACE_BASE_MB + Math.ceil(((JDK_CLASSES + classes) * LOADED_SHARE * CLASS_BYTES) / 1024 ** 2);
}

/** Sourced before each start: sets JAVA_TOOL_OPTIONS, which every JVM reads. What the user puts into JAVA_OPTS stands later in the command, and so wins. */
export function memoryScript(metaspace: number): string {
  return `case "\${MEMORY_LIMIT:-}" in
  *[0-9][mM]) cupola_total=\${MEMORY_LIMIT%[mM]} ;;
  *[0-9][gG]) cupola_total=$((\${MEMORY_LIMIT%[gG]} * 1024)) ;;
  *) cupola_total= ;;
esac
if [ -n "$cupola_total" ]; then
  cupola_code=$((cupola_total / 8)); [ "$cupola_code" -gt 240 ] && cupola_code=240; [ "$cupola_code" -lt 24 ] && cupola_code=24
  cupola_threads=$((cupola_total / 16)); [ "$cupola_threads" -gt 250 ] && cupola_threads=250
  cupola_heap=$((cupola_total - ${metaspace} - cupola_code - cupola_threads - 10 - cupola_total / 20))
  if [ "$cupola_heap" -lt $((cupola_total / 4)) ]; then
    cupola_heap=$((cupola_total / 4))
    echo "A memory limit of $MEMORY_LIMIT is little for this app: its classes alone may take ${metaspace} MB. More: cf scale APP -m $((${metaspace} * 4))M" >&2
  fi
  export JAVA_TOOL_OPTIONS="-Xmx\${cupola_heap}m -XX:MaxMetaspaceSize=${metaspace}m -XX:ReservedCodeCacheSize=\${cupola_code}m -XX:MaxDirectMemorySize=10m -Xss1m -XX:+ExitOnOutOfMemoryError\${JAVA_TOOL_OPTIONS:+ $JAVA_TOOL_OPTIONS}"
fi
unset cupola_total cupola_code cupola_threads cupola_heap
`;
}
