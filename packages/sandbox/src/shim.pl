# The instance shim: one process for each sandbox, which outlives the agent. It sets the sandbox up, drains its output, knows its end.
# Argument: the instance folder. No `use`: each module would cost every instance 0.4 to 2.5 MB. See README.md for the folder's files.
my ($dir) = @ARGV;
chdir $dir or die "chdir $dir: $!";
$0 = "cupola-shim $dir";

my ($MS_RDONLY, $MS_NOSUID, $MS_NODEV, $MS_REMOUNT, $MS_BIND, $MS_REC, $MS_PRIVATE) = (1, 2, 4, 32, 4096, 16384, 1 << 18);

my %nr;    # System calls by number
sub now_ms { my $t = "\0" x 16; syscall($nr{clock_gettime}, 0, $t); my ($s, $n) = unpack 'q2', $t; return $s * 1000 + int($n / 1_000_000) }
sub publish { # NAME TEXT: whole or not at all
  my ($name, $text) = @_;
  open(my $f, '>', "$name.new") or return 0;
  print $f $text or return 0;
  close $f or return 0;
  return rename "$name.new", $name;
}

# `spec`: lines of KEY and fields, separated by tabs, percent-encoded.
my (%spec, @mounts, @argv, @links, @folders, @cgroups, @enter);
open(my $in, '<', 'spec') or die "spec: $!";
while (my $line = <$in>) {
  chomp $line;
  my ($key, @f) = map { s/%([0-9a-f]{2})/chr hex $1/ger } split /\t/, $line, -1;
  if ($key eq 'mount') { push @mounts, [@f] }
  elsif ($key eq 'arg') { push @argv, $f[0] }
  elsif ($key eq 'link') { push @links, [@f] }
  elsif ($key eq 'folder') { push @folders, [@f] }
  elsif ($key eq 'cgroup') { push @cgroups, $f[0] }
  elsif ($key eq 'enter') { push @enter, $f[0] }
  else { $spec{$key} = $f[0] }
}
close $in;

# aarch64, x86_64
%nr = $spec{arch} eq 'arm64'
  ? (prctl => 167, mount => 40, unshare => 97, setns => 268, clock_gettime => 113, setgroups => 159, setresuid => 147, setresgid => 149, dup3 => 24)
  : (prctl => 157, mount => 165, unshare => 272, setns => 308, clock_gettime => 228, setgroups => 116, setresuid => 117, setresgid => 119, dup3 => 292);

syscall($nr{prctl}, 36, 1, 0, 0, 0);    # PR_SET_CHILD_SUBREAPER: what the sandbox leaves behind becomes ours
for ('ctl', 'alive') { system('mkfifo', '-m', '600', $_) unless -p $_ }
# Held open read-write, so that writers never block and `alive` tells of our death by its end.
sysopen(my $ctl, 'ctl', 2 | 2048) or die "ctl: $!";
sysopen(my $alive, 'alive', 2 | 2048) or die "alive: $!";
pipe(my $out_r, my $out_w) or die;
pipe(my $err_r, my $err_w) or die;
pipe(my $fail_r, my $fail_w) or die;    # close-on-exec: what the child says here is why no app code ran

my $parent = $$;
my $child = fork();
die "fork: $!" unless defined $child;
if ($child == 0) {
  my $fail = sub { syswrite $fail_w, "$_[0]: $!"; kill 9, $$ };
  syscall($nr{prctl}, 1, 9, 0, 0, 0);    # PR_SET_PDEATHSIG KILL: nothing lives on without its shim
  kill 9, $$ if getppid() != $parent;
  open(STDIN, '<', '/dev/null');
  open(STDOUT, '>&', $out_w);
  open(STDERR, '>&', $err_w);
  for my $file (@cgroups) { open(my $c, '>', $file) or $fail->("cgroup $file"); syswrite($c, "$$\n") or $fail->("cgroup $file"); close $c }
  if (defined $spec{netns}) {
    open(my $n, '<', $spec{netns}) or $fail->("network namespace $spec{netns}");
    syscall($nr{setns}, fileno($n), 0x40000000) == 0 or $fail->('setns');
  }
  if ($spec{uidmap}) {    # An ordinary user: a user namespace of our own, where we are root and may mount
    my ($uid, $gid) = ($<, (split / /, $()[0]);
    syscall($nr{unshare}, 0x10000000 | 0x20000) == 0 or $fail->('unshare (are user namespaces open?)');
    for (['setgroups', 'deny'], ['uid_map', "0 $uid 1"], ['gid_map', "0 $gid 1"]) {
      open(my $m, '>', "/proc/self/$_->[0]") or $fail->($_->[0]);
      syswrite($m, $_->[1]) or $fail->($_->[0]);
    }
  }
  elsif (defined $spec{root}) { syscall($nr{unshare}, 0x20000) == 0 or $fail->('unshare') }
  build_root($fail) if defined $spec{root};
  if (defined $spec{seccomp}) {    # bwrap reads its filter from this descriptor, opened while we may; $^F keeps it open across exec
    $^F = 200;
    open(my $s, '<', $spec{seccomp}) or $fail->('seccomp');
    @argv = map { $_ eq '{seccomp}' ? fileno($s) : $_ } @argv;
    push @enter, $s;
    $^F = 2;
  }
  if (defined $spec{uid}) {    # Groups, bounding set, ids and no_new_privs before any tool runs: bwrap started as root would keep uid 0
    my $none = '';
    syscall($nr{setgroups}, 0, $none) == 0 or $fail->('setgroups');
    for my $cap (0 .. 63) { last if syscall($nr{prctl}, 24, $cap, 0, 0, 0) != 0 }
    my $u = $spec{uid} + 0;
    syscall($nr{setresgid}, $u, $u, $u) == 0 or $fail->('setresgid');
    syscall($nr{setresuid}, $u, $u, $u) == 0 or $fail->('setresuid');
    syscall($nr{prctl}, 1, 9, 0, 0, 0);    # The change of uid cleared it
    kill 9, $$ if getppid() != $parent;
  }
  syscall($nr{prctl}, 38, 1, 0, 0, 0) == 0 or $fail->('no_new_privs') if $spec{nnp};
  syscall($nr{dup3}, fileno($fail_w), 9, 0) == 9 or $fail->('dup');    # The init says `ok` on it: until then no app code ran
  %ENV = (PATH => '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG => 'C.UTF-8');
  exec { $argv[0] } @argv;
  $fail->("exec $argv[0]");
}

# Builds the instance's root in this private mount namespace: nothing is left on the host when it ends.
sub build_root {
  my ($fail) = @_;
  my $r = $spec{root};
  my $none = 'none';
  my $mount = sub {
    my ($source, $target, $type, $flags, $data) = @_;
    $data //= '';
    $type //= 'none';
    syscall($nr{mount}, $source, $target, $type, $flags + 0, $data) == 0 or $fail->("mount $source on $target");
  };
  my $slash = '/';
  $mount->($none, $slash, undef, $MS_REC | $MS_PRIVATE);
  if (defined $spec{image}) { system('mount', '-o', 'loop,nosuid,nodev', $spec{image}, $spec{disk}) == 0 or $fail->("mount $spec{image}") }
  for (['home', 0755], ['tmp', 01777]) {
    my ($path, $mode) = ("$spec{disk}/$_->[0]", $_->[1]);
    next if -d $path;
    mkdir $path or $fail->("mkdir $path");
    chmod $mode, $path;
    chown $spec{owner}, $spec{owner}, $path if defined $spec{owner};
  }
  my $tmpfs = 'tmpfs';
  $mount->($tmpfs, $r, 'tmpfs', $MS_NOSUID | $MS_NODEV, 'size=4m,mode=755');
  my $make = sub {    # PATH: a folder below the root, with its parents
    my $path = $r;
    for (split m{/}, $_[0]) { next if $_ eq ''; $path .= "/$_"; mkdir $path, 0755 unless -e $path }
    return $path;
  };
  for (@folders) { my ($path, $mode, $uid) = @$_; my $p = $make->($path); chmod oct $mode, $p; chown $uid, $uid, $p if $uid ne '' }
  for (@links) { my ($target, $path) = @$_; symlink $target, "$r$path" }
  my $n = 0;
  for (@mounts) {
    my ($mode, $source, $target) = @$_;
    my $at;
    if (-d $source) { $at = $make->($target) }
    else { my ($parent) = $target =~ m{^(.*)/}; $make->($parent); $at = "$r$target"; open(my $f, '>>', $at); close $f }
    if ($mode eq 'overlay') {
      $n++;
      my ($upper, $work) = ("$spec{disk}/upper$n", "$spec{disk}/work$n");
      mkdir $_, 0755 for $upper, $work;
      my @s = stat $source;
      chmod $s[2] & 07777, $upper;
      chown $s[4], $s[5], $upper;
      my $o = join ',', map { my ($k, $p) = @$_; $p =~ s/([\\,:])/\\$1/g; "$k=$p" } ['lowerdir', $source], ['upperdir', $upper], ['workdir', $work];
      my $overlay = 'overlay';
      $mount->($overlay, $at, 'overlay', $MS_NOSUID | $MS_NODEV, $o . ($spec{uidmap} ? ',userxattr' : ''));
      next;
    }
    $mount->($source, $at, undef, $MS_BIND | $MS_REC);
    $mount->($source, $at, undef, $MS_BIND | $MS_REMOUNT | $MS_NOSUID | ($mode eq 'read-only' ? $MS_RDONLY : 0) | ($mode eq 'device' ? 0 : $MS_NODEV)) unless $spec{uidmap} && $mode ne 'read-only';
  }
}

close $_ for $out_w, $err_w, $fail_w;
my $why = '';
1 while sysread $fail_r, $why, 4096, length $why;    # Until the init runs, or something before it has ended
my $started = $why =~ s/^ok\n// ? 1 : 0;
my $pid_start = sub { open(my $f, '<', "/proc/$_[0]/stat") or return ''; my $l = <$f>; (split / /, $l =~ s/^.*\) //r)[19] };
open(my $b, '<', '/proc/sys/kernel/random/boot_id');
chomp(my $boot = <$b> // '');
$started and publish('state', join("\n", 'version 1', "shim $$ " . $pid_start->($$), "child $child " . $pid_start->($child), "boot $boot", 'started ' . now_ms()) . "\n");

# One loop over output, orders and the end. Reads everything, drops the surplus: an app is never slowed by its log.
my $ended = 1;    # Looked at once: a child that died during set-up gave its signal before anyone listened
$SIG{CHLD} = sub { $ended = 1 };
$SIG{PIPE} = 'IGNORE';
my $max = 1 << 20;
my ($rate, $tokens, $filled, $dropped, $told) = ($spec{rate}, $spec{rate}, now_ms(), 0, 0);
my ($log, $number, $size) = (undef, 0, 0);
open_log();

sub open_log {
  close $log if $log;
  open($log, '>>', 'log.' . ++$number);
  $size = 0;
  unlink 'log.' . ($number - 4);
}
sub record {    # STREAM BYTES: header line, then the bytes; a write that fails is cut back and counted
  my ($stream, $bytes) = @_;
  my $text = now_ms() . " $stream " . length($bytes) . "\n$bytes";
  my $wrote = syswrite $log, $text;
  if (!defined $wrote || $wrote < length $text) { truncate $log, $size; sysseek $log, $size, 0; $dropped += length $bytes; return }
  $size += $wrote;
  open_log() if $size >= $max;
}
sub take {    # what a pipe holds; 0 at its end
  my ($pipe, $stream) = @_;
  my $got = sysread $pipe, my $bytes, 65536;
  return 1 if !defined $got && $! == 4;    # EINTR
  return 0 unless $got;
  my $now = now_ms();
  if ($rate >= 0) {
    $tokens += ($now - $filled) * $rate / 1000;
    $tokens = $rate if $tokens > $rate;
    $filled = $now;
    if ($got > $tokens) { $dropped += $got; note_dropped($now); return 1 }
    $tokens -= $got;
  }
  record($stream, $bytes);
  note_dropped($now);
  return 1;
}
sub note_dropped {
  my ($now) = @_;
  return if !$dropped || $now - $told < 1000;
  my $n = $dropped;
  $dropped = 0;
  $told = $now;
  record('d', "$n");
}
sub target {    # the app's init: below bwrap, unshare and runc, which must not get its signals
  my $pid = $child;
  for (1 .. 8) {
    open(my $c, '<', "/proc/$pid/comm") or return $pid;
    chomp(my $comm = <$c>);
    return $pid unless $comm =~ /^(bwrap|unshare|setpriv|nsenter)$/;
    open(my $k, '<', "/proc/$pid/task/$pid/children") or return $pid;
    my ($next) = split / /, <$k> // '';
    return $pid unless $next;
    $pid = $next;
  }
  return $pid;
}

my %open = (fileno($out_r) => [$out_r, 'o'], fileno($err_r) => [$err_r, 'e']);
my ($status, $drain_until);
while (1) {
  my $bits = '';
  vec($bits, fileno $ctl, 1) = 1;
  vec($bits, $_, 1) = 1 for keys %open;
  my $wait = $ended ? 0.02 : $dropped ? 1 : undef;
  my $n = select(my $ready = $bits, undef, undef, $wait);
  if ($n > 0) {
    for my $fd (keys %open) { my ($p, $s) = @{ $open{$fd} }; take($p, $s) || delete $open{$fd} if vec $ready, $fd, 1 }
    if (vec $ready, fileno $ctl, 1) {
      sysread $ctl, my $orders, 4096;
      for (split //, $orders // '') {
        if ($_ eq 'T') { kill 15, target() }
        elsif ($_ eq 'K') { kill 9, target(); kill 9, $child }
      }
    }
  }
  note_dropped(now_ms()) if $dropped;
  if ($ended && !defined $status) {
    while ((my $pid = waitpid -1, 1) > 0) { $status = $? if $pid == $child }
    if (!defined $status) { $ended = 0; next }
    kill 9, target();
    $drain_until = now_ms() + 2000;
  }
  last if defined $status && (!%open || now_ms() > $drain_until);
}
my $oom = 0;
if (defined $spec{oom} && open(my $o, '<', $spec{oom})) { while (<$o>) { $oom = $1 if /^oom_kill (\d+)/ } }
my $exit = join("\n", "started $started", 'why ' . ($why =~ s/\n/ /gr), 'code ' . ($status >> 8), 'signal ' . ($status & 127), "oom $oom", 'at ' . now_ms(), "log $number " . (-s $log)) . "\n";
select undef, undef, undef, 1 until publish('exit', $exit);
