/** The unit by which systemd keeps a platform running: pure text, so that it can be looked at before it is installed. */

export interface UnitFacts {
  /** The checkout, with `cupola` in it. */
  root: string;
  data: string;
  /** Of the user it runs as: where the launcher keeps its Node.js. */
  home: string;
  /** `up`, or `join` and its addresses. */
  command: readonly string[];
  /** Its flags, besides --data. */
  flags: readonly string[];
}

export function unitText({ root, data, home, command, flags }: UnitFacts): string {
  const launcher = quoted(`${root}/cupola`);
  const start = [
    launcher,
    ...command.map(quoted),
    '--data',
    quoted(data),
    '--no-install',
    '--json',
    ...flags.map(quoted),
  ].join(' ');
  return `# Made by \`cupola install\`; made anew by it.
[Unit]
Description=Cupola: Cloud Foundry in one command
Documentation=file://${encodeURI(root)}/README.md
After=network-online.target docker.service
Wants=network-online.target
# A platform that cannot start (a port is taken, a disk is full) is tried again for ever, not given up.
StartLimitIntervalSec=0

[Service]
Type=exec
Environment=${quoted(`HOME=${home}`)}
ExecStart=${start}
ExecReload=${launcher} restart --data ${quoted(data)}
Restart=always
RestartSec=2
# SIGTERM stops every instance, then the platform. Of a platform that was killed the instances live on, and the next start adopts them.
KillMode=process
TimeoutStopSec=60
# Each instance has a control group of its own.
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
`;
}

/** As systemd.syntax(7) and systemd.service(5) want it: % begins a specifier, $ a variable. */
function quoted(text: string): string {
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(text) ? escaped : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
