/** `NAME/x.y.z (go1.2; arch os)`: the form of the cf CLI's User-Agent; the name is the binary's, whatever it is called. */
const CLI_AGENT = /^\S+\/\S+ \(go[^;()]*; [^;()]+\)$/;

export function isCliAgent(userAgent: string): boolean {
  return CLI_AGENT.test(userAgent);
}
