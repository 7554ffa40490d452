# The instance shim: one process for each sandbox, which outlives the agent. It sets the sandbox up, drains its output, knows its end.
# Runs in the instance folder. Arguments: its name, architecture, kind (spec-file.ts), 1 when a user namespace comes first, the cgroup.procs files to join. What is slow
# begins with these and the file `base`, the part of a root that is the same for all; the rest is in `spec`, which is there once a line comes on our input.
# A shim that is kept ahead finds a disk in `base` too, and does by itself all that is not one sandbox's own.
# No `use`: each module would cost every instance 0.4 to 2.5 MB. See README.md for the folder's files.
my ($dir, $arch, $kind, $mapped, @cgroups) = @ARGV;
$0 = "cupola-shim $dir";

my ($RDONLY, $NOSUID, $NODEV, $NOEXEC, $REMOUNT, $BIND, $REC, $PRIVATE) = (1, 2, 4, 8, 32, 4096, 16384, 1 << 18);
my ($NEWNS, $NEWCGROUP, $NEWUTS, $NEWIPC, $NEWUSER, $NEWPID, $NEWNET) = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000);
my %nr;    # System calls by number

sub now_ms { my $t = "\0" x 16; syscall($nr{clock_gettime}, 0, $t); my ($s, $n) = unpack 'q2', $t; return $s * 1000 + int($n / 1_000_000) }
sub publish {    # NAME TEXT: whole or not at all
  my ($name, $text) = @_;
  open(my $f, '>', "$name.new") or return 0;
  print $f $text or return 0;
  close $f or return 0;
  return rename "$name.new", $name;
}

# How it ended must be known on a full disk too: its place is taken at the start, and written over at the end.
my $exit_max = 4096;
sub reserve_exit {
  open(my $f, '>', 'exit.new') or return;
  print $f ' ' x $exit_max;
  close $f;
}
sub publish_exit {    # TEXT
  my ($text) = @_;
  open(my $f, '+<', 'exit.new') or return publish('exit', $text);
  print $f $text or return 0;
  close $f or return 0;
  truncate('exit.new', length $text) or return 0;
  return rename 'exit.new', 'exit';
}

my ($outer_uid, $outer_gid) = ($<, $( + 0);
my (%spec, @mounts, @argv, @links, @folders, @files, @attach, @seal);
my @below;    # Where folders that we have to make belong to the app
sub read_spec {    # FILE WHOLE: lines of KEY and fields, separated by tabs, percent-encoded
  open(my $in, '<', $_[0]) or return 0;
  (@mounts, @links, @folders, @files) = ();
  while (my $line = <$in>) {
    chomp $line;
    my ($key, @f) = map { s/%([0-9a-f]{2})/chr hex $1/ger } split /\t/, $line, -1;
    if ($key eq 'mount') { push @mounts, [@f] }
    elsif ($key eq 'arg') { push @argv, $f[0] }
    elsif ($key eq 'link') { push @links, [@f] }
    elsif ($key eq 'folder') { push @folders, $f[0] }
    elsif ($key eq 'attach') { push @attach, $f[0] }
    elsif ($key eq 'seal') { push @seal, $f[0] }
    elsif ($key eq 'file') { push @files, [@f] if $_[1] }    # Secrets among them: only for who writes them
    else { $spec{$key} = $f[0] }
  }
  return 1;
}
# aarch64, x86_64
%nr = $arch eq 'arm64'
  ? (prctl => 167, mount => 40, umount2 => 39, pivot_root => 41, unshare => 97, setns => 268, clock_gettime => 113, setgroups => 159, setresuid => 147,
    setresgid => 149, dup3 => 24, mknodat => 33, setsid => 157, sethostname => 161, clone => 220)
  : (prctl => 157, mount => 165, umount2 => 166, pivot_root => 155, unshare => 272, setns => 308, clock_gettime => 228, setgroups => 116, setresuid => 117,
    setresgid => 119, dup3 => 292, mknodat => 259, setsid => 112, sethostname => 170, clone => 56);
($nr{pidfd_open}, $nr{mount_setattr}, $nr{open_tree}, $nr{move_mount}) = (434, 442, 428, 429);    # The same on all
if ($kind eq 'guest') { exit be_host() }

syscall($nr{prctl}, 36, 1, 0, 0, 0);    # PR_SET_CHILD_SUBREAPER: what the sandbox leaves behind becomes ours
for my $fifo ('ctl', 'alive') { syscall($nr{mknodat}, -100, "$fifo", 010600, 0) }
# Held open read-write, so that writers never block and `alive` tells of our death by its end.
sysopen(my $ctl, 'ctl', 2 | 2048) or die "ctl: $!";
sysopen(my $alive, 'alive', 2 | 2048) or die "alive: $!";
pipe(my $out_r, my $out_w) or die;
pipe(my $err_r, my $err_w) or die;
pipe(my $fail_r, my $fail_w) or die;    # What is said here before the init's `ok` is why no app code ran
pipe(my $go_r, my $go_w) or die;

my $parent = $$;
# `namespaces`: the child is pid 1 of its own pid namespace at once, so its end is the end of all. Else a tool does that, or nobody.
my $child = $kind eq 'namespaces' ? syscall($nr{clone}, 17 | $NEWPID | ($mapped ? $NEWUSER : 0), 0, 0, 0, 0) : fork();
if (!defined $child || $child < 0) { my $why = "clone: $! (are namespaces open to us?)"; give_up($why) }
if ($child == 0) { close $_ for $fail_r, $go_w; become_app() }
close $_ for $out_w, $err_w, $fail_w, $go_r;
$SIG{PIPE} = 'IGNORE';    # The child may have failed by now, and has said why
open(STDIN, '<', '/dev/null');
my ($why, $started) = ('', 0);
# The child goes on meanwhile: to move a process into a control group takes the kernel some 10 ms of waiting.
for my $file (@cgroups) {
  my $procs;
  open($procs, '>', $file) && syswrite($procs, $child) or $why = "control group $file: $!";
}
syswrite $go_w, 'g' unless $why;
close $go_w;

sub fail { syswrite $fail_w, "$_[0]: $!"; exit 1 }
sub hold_on {    # Nothing lives on without its shim: asked for again after each change of uid, which clears it
  syscall($nr{prctl}, 1, 9, 0, 0, 0);    # PR_SET_PDEATHSIG KILL
  syswrite $fail_w, '.';                 # Without a shim nobody reads this, and SIGPIPE ends us
}
sub write_file { my ($file, $text) = @_; open(my $f, '>', $file) or fail($file); syswrite($f, $text) or fail($file) }

sub become_app {
  hold_on();
  syscall($nr{setsid});
  my $own = $kind eq 'namespaces';
  if ($mapped) {    # An ordinary user: a user namespace of our own, where we are root and may mount
    $own || syscall($nr{unshare}, $NEWUSER) == 0 or fail('unshare (are user namespaces open to us?)');
    map_ids("0 $outer_uid 1", "0 $outer_gid 1");
  }
  if (read_spec('base')) {
    syscall($nr{unshare}, $own ? $NEWNS | $NEWIPC | $NEWUTS : $NEWNS) == 0 or fail('unshare');
    mount('none', '/', '', $REC | $PRIVATE);
    mount('tmpfs', $spec{root}, 'tmpfs', $NOSUID | $NODEV, 'size=4m,mode=755');
    furnish();
    if (defined $spec{ahead}) { make_image(); settle_in($own) }
  }
  my ($stamped, $image) = @spec{'template', 'image'};
  sysread STDIN, my $line, 1;
  if (!$line || !read_spec('spec', 1)) { syswrite $fail_w, 'the agent went away'; exit 1 }
  open(STDIN, '<', '/dev/null');
  open(STDOUT, '>&', $out_w);
  open(STDERR, '>&', $err_w);
  chown $spec{owner}, $spec{owner}, *STDOUT, *STDERR if defined $spec{owner};    # So that the app may open /dev/stdout
  if (defined $spec{netns}) {    # Made after our mount namespace, so it is seen through the shim's
    open(my $n, '<', "/proc/$parent/root$spec{netns}") or fail("network namespace $spec{netns}");
    syscall($nr{setns}, fileno($n), $NEWNET) == 0 or fail('setns');
    # Images listen where they like, on 80 say, as a user who may nothing else. Where it cannot be set, such an app says why it fails.
    if (defined $spec{rootfs} && open(my $low, '>', '/proc/sys/net/ipv4/ip_unprivileged_port_start')) { syswrite $low, '0' }
  }
  if (defined $spec{seccomp} && $own) { local $/; open(my $f, '<', $spec{seccomp}) or fail('seccomp'); $spec{filter} = <$f> }
  elsif (defined $spec{seccomp}) {    # bwrap reads its filter from this descriptor; $^F keeps it open across exec
    $^F = 200;
    open($spec{filter}, '<', $spec{seccomp}) or fail('seccomp');
    @argv = map { $_ eq '{seccomp}' ? fileno($spec{filter}) : $_ } @argv;
    $^F = 2;
  }
  if (defined $spec{root}) {
    if (defined $stamped && $stamped ne ($spec{template} // '')) {    # A disk of another size was made ahead
      syscall($nr{umount2}, "$spec{disk}", 0) == 0 or fail('umount2');
      unlink $image;
      undef $stamped;
    }
    make_image() unless defined $stamped;
    make_root();
    furnish();
  }
  settle_in($own) unless defined $spec{ahead};
  enter_root() if $own;
  drop_bounds() if $own || defined $spec{uid};    # bubblewrap of an ordinary user drops them itself, after it has mapped ids
  if (defined $spec{uid}) {    # Groups and ids before any tool runs: bwrap started as root would keep uid 0
    my ($none, $u) = ('', $spec{uid} + 0);
    syscall($nr{setgroups}, 0, $none) == 0 or fail('setgroups');
    syscall($nr{setresgid}, $u, $u, $u) == 0 or fail('setresgid');
    syscall($nr{setresuid}, $u, $u, $u) == 0 or fail('setresuid');
    syscall($nr{prctl}, 4, 1, 0, 0, 0);    # PR_SET_DUMPABLE: else our own /proc/self belongs to root
  }
  if ($own) {    # Seen inside as 2000, with no way to another user namespace
    my $me = $mapped ? 0 : $spec{uid};
    if (syscall($nr{unshare}, $NEWUSER) == 0) {
      map_ids(($spec{inside_uid} // 2000) . " $me 1", ($spec{inside_gid} // 2000) . " $me 1");
      write_file('/proc/sys/user/max_user_namespaces', '0');
      drop_bounds();    # They are all back in a new user namespace
    }
    elsif ($mapped) { fail('unshare') }    # As root a plain uid will do
  }
  hold_on();
  if ($kind ne 'detached') { syscall($nr{prctl}, 38, 1, 0, 0, 0) == 0 or fail('no_new_privs') }
  if ($own && defined $spec{seccomp}) {
    my $filter = $spec{filter};
    my $program = pack 'S x6 P', length($filter) / 8, $filter;
    syscall($nr{prctl}, 22, 2, $program, 0, 0) == 0 or fail('seccomp');
  }
  %ENV = (PATH => '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
  syscall($nr{dup3}, fileno($fail_w), 3, 0) == 3 or fail('dup');    # The init says `ok` on it: until then no app code ran
  exec { $argv[0] } @argv;
  fail("exec $argv[0]");
}
sub settle_in {    # Once we are in our control groups
  sysread $go_r, my $go, 1;
  exit 1 unless $go;    # The shim says why
  return unless $_[0];
  syscall($nr{unshare}, $NEWCGROUP) == 0 or fail('unshare');
  mount_inside();
}
sub drop_bounds { for my $capability (0 .. 63) { last if syscall($nr{prctl}, 24, $capability, 0, 0, 0) != 0 } }    # PR_CAPBSET_DROP
sub map_ids { write_file('/proc/self/setgroups', 'deny'); write_file('/proc/self/uid_map', $_[0]); write_file('/proc/self/gid_map', $_[1]) }

# The instance's root is built in this private mount namespace: nothing is left on the host when it ends.
sub mount {
  my ($source, $target, $type, $flags, $data) = map { defined $_ ? $_ : '' } @_[0 .. 4];
  syscall($nr{mount}, "$source", "$target", "$type", $flags + 0, "$data") == 0 or fail("mount $source on $target");
}
sub bind_mount {    # SOURCE TARGET MODE: with all that is mounted below it
  my ($source, $target, $mode) = @_;
  mount($source, $target, '', $BIND | $REC);
  return if $mode eq 'device';
  my $attributes = pack 'Q4', ($mode eq 'read-only' ? 1 : 0) | 2 | 4, 0, 0, 0;    # RDONLY, NOSUID, NODEV
  return if syscall($nr{mount_setattr}, -100, "$target", 0x8000, $attributes, 32) == 0;
  mount('none', $target, '', $BIND | $REMOUNT | $NOSUID | $NODEV | ($mode eq 'read-only' ? $RDONLY : 0));    # Linux before 5.12
}
sub loop_mount {    # IMAGE TARGET: a loop device that frees itself
  my ($image, $target) = @_;
  sysopen(my $file, $image, 2) or fail($image);
  sysopen(my $control, '/dev/loop-control', 2) or fail('/dev/loop-control');
  for (1 .. 64) {
    my $number = ioctl($control, 0x4c82, 0) or fail('no loop device is free');    # LOOP_CTL_GET_FREE
    $number += 0;
    sysopen(my $loop, "/dev/loop$number", 2) or fail("/dev/loop$number");
    my $config = pack 'L2 Q5 L4 x64 x64 x32 Q2 Q8', fileno($file), 0, (0) x 5, 0, 0, 0, 4, (0) x 10;    # AUTOCLEAR
    if (ioctl($loop, 0x4c0a, $config)) { return mount("/dev/loop$number", $target, 'ext4', $NOSUID | $NODEV, 'discard') }
    next if $! == 16;                                                             # EBUSY: another was faster
    return if $! == 22 && system('mount', '-o', 'loop,nosuid,nodev', $image, $target) == 0;    # Linux before 5.8 has no LOOP_CONFIGURE
    fail("loop device for $image");
  }
  fail('loop devices');
}
sub stamp {    # TEMPLATE IMAGE: a copy of what is not a hole; making the file system anew would take ten times as long
  my ($template, $image) = @_;
  open(my $from, '<', $template) or fail($template);
  sysopen(my $to, $image, 1 | 64 | 128, 0600) or fail($image);
  truncate $to, -s $from or fail($image);
  my $at = 0;
  while (defined(my $begin = sysseek $from, $at, 3)) {    # SEEK_DATA
    $at = sysseek $from, $begin, 4;                       # SEEK_HOLE
    sysseek $from, $begin, 0;
    sysseek $to, $begin, 0;
    for (my $left = $at - $begin; $left > 0;) {
      my $got = sysread $from, my $bytes, $left > 1 << 20 ? 1 << 20 : $left;
      $got && syswrite($to, $bytes) == $got or fail($image);
      $left -= $got;
    }
  }
}
sub make {    # PATH: a folder below the root, with its parents. Links are refused: layers are other people's, and we are not in their root yet
  my $path = $spec{root};
  for my $name (split m{/}, $_[0]) {
    next if $name eq '';
    $path .= "/$name";
    $! = 40, fail("a link is in the way of $_[0]") if -l $path;
    next if -e $path;
    mkdir $path, 0755 or fail("mkdir $path");
    my $inside = substr $path, length $spec{root};
    chown $spec{owner}, $spec{owner}, $path if defined $spec{owner} && grep { index("$inside/", "$_/") == 0 } @below;
  }
  return $path;
}
sub make_image {
  if (defined $spec{image}) { stamp($spec{template}, $spec{image}); loop_mount($spec{image}, $spec{disk}) }
}
sub make_folders {    # Of the disk
  for (['home', 0755], ['tmp', 01777]) {
    my ($path, $mode) = ("$spec{disk}/$_->[0]", $_->[1]);
    mkdir $path or fail("mkdir $path");
    chmod $mode, $path;
    chown $spec{owner}, $spec{owner}, $path if defined $spec{owner};
  }
}
sub make_root {
  if (defined $spec{rootfs}) { push @below, ''; overlay($spec{rootfs}, $spec{root}, 'root') }    # All of it is the app's
  else { make_folders() }
}
sub swap_root {    # Where we are becomes the root
  my $here = '.';
  syscall($nr{pivot_root}, $here, $here) == 0 or fail('pivot_root');
  syscall($nr{umount2}, $here, 2) == 0 or fail('umount2');    # MNT_DETACH: the old root, which lies above
  chdir '/' or fail('chdir /');
}
sub furnish {    # The root, with what was read last
  make($_) for @folders;
  for (@links) { my ($target, $path) = @$_; symlink $target, "$spec{root}$path" or fail("link $path") }
  for (@files) {
    my ($path, $mode, $owner, $text) = @$_;
    my ($parent, $name) = $path =~ m{^(.*)/([^/]+)$};
    my $at = make($parent) . "/$name";
    unlink $at if defined $spec{rootfs};    # An image's own: never written through a link of its
    sysopen(my $f, $at, 1 | 64 | 128, oct $mode) or fail($path);
    (syswrite($f, $text) // -1) == length $text or fail($path);
    if ($owner ne '') { chown $owner, $owner, $f or fail($path) }
  }
  my $n = 0;
  for (@mounts) {
    my ($mode, $source, $target) = @$_;
    my $at;
    if (-d $source) { $at = make($target) }
    else {
      my ($parent, $name) = $target =~ m{^(.*)/([^/]+)$};
      $at = make($parent) . "/$name";
      $! = 40, fail("a link is in the way of $target") if -l $at;
      -e $at or sysopen(my $f, $at, 1 | 64 | 128, 0644) or fail($at);
    }
    push @below, $target if $mode ne 'read-only';
    if ($mode ne 'overlay') { bind_mount($source, $at, $mode); next }
    overlay($source, $at, $n++);
  }
}
sub overlay {    # SOURCE TARGET NAME: what is written lies on the disk
  my ($source, $at, $name) = @_;
  my ($upper, $work) = ("$spec{disk}/upper$name", "$spec{disk}/work$name");
  mkdir $_, 0755 or fail("mkdir $_") for $upper, $work;
  my @s = stat $source or fail($source);
  chmod $s[2] & 07777, $upper;
  chown $s[4], $s[5], $upper unless $mapped;
  my $o = join ',', map { my ($k, $p) = @$_; $p =~ s/([\\,:])/\\$1/g; "$k=$p" } ['lowerdir', $source], ['upperdir', $upper], ['workdir', $work];
  mount('overlay', $at, 'overlay', $NOSUID | $NODEV, $o . ($mapped ? ',userxattr' : ''));
}
sub mount_inside {    # As pid 1 of the new namespaces: proc and dev
  my $r = $spec{root};
  mount('proc', "$r/proc", 'proc', $NOSUID | $NODEV | $NOEXEC);
  mount('tmpfs', "$r/dev", 'tmpfs', $NOSUID | $NOEXEC, 'mode=755,size=64k');
  for my $name ('null', 'zero', 'full', 'random', 'urandom', 'tty') {
    open(my $f, '>', "$r/dev/$name") or fail("/dev/$name");
    bind_mount("/dev/$name", "$r/dev/$name", 'device');
  }
  for my $name ('kcore', 'keys', 'latency_stats', 'timer_list', 'sched_debug') { bind_mount('/dev/null', "$r/proc/$name", 'device') if -e "$r/proc/$name" }
  for my $name ('bus', 'fs', 'irq', 'sysrq-trigger') { bind_mount("$r/proc/$name", "$r/proc/$name", 'read-only') if -e "$r/proc/$name" }
  mkdir "$r/dev/$_" for 'shm', 'pts';
  mount('tmpfs', "$r/dev/shm", 'tmpfs', $NOSUID | $NODEV | $NOEXEC, 'mode=1777,size=64m');
  mount('devpts', "$r/dev/pts", 'devpts', $NOSUID | $NOEXEC, 'newinstance,ptmxmode=0666,mode=0620');
  for (['pts/ptmx', 'ptmx'], ['/proc/self/fd', 'fd'], ['/proc/self/fd/0', 'stdin'], ['/proc/self/fd/1', 'stdout'], ['/proc/self/fd/2', 'stderr']) { symlink $_->[0], "$r/dev/$_->[1]" }
  mount('none', "$r/dev", '', $BIND | $REMOUNT | $RDONLY | $NOSUID | $NOEXEC);
}
sub enter_root {    # It takes the place of the host's
  my $r = $spec{root};
  syscall($nr{sethostname}, $spec{hostname}, length $spec{hostname});
  chdir $r or fail("chdir $r");
  swap_root();
  mount('none', '/', '', $BIND | $REMOUNT | $RDONLY | $NOSUID | $NODEV) unless defined $spec{rootfs};
}

# A guest is an engine's container, whose first process waits at a FIFO. What its engine cannot mount is put together here, in a mount namespace of our own, while
# the engine starts it, and moved into its namespace then: nothing shows on the host, and it goes with the container. Speaks with the agent by lines; ends once
# the app's init runs.
sub be_host {
  $fail_w = *STDERR;
  read_spec('spec', 1) or fail('spec');
  for my $fifo ('go', 'told') {
    syscall($nr{mknodat}, -100, "$fifo", 010600, 0) == 0 or fail($fifo);
    chown $spec{owner}, $spec{owner}, $fifo or fail($fifo);
  }
  # Held open read-write: the container opens its ends without waiting for us.
  sysopen(my $go, 'go', 2) or fail('go');
  sysopen(my $told, 'told', 2) or fail('told');
  syswrite STDOUT, "ready\n";
  syscall($nr{unshare}, $NEWNS) == 0 or fail('unshare');
  mount('none', '/', '', $REC | $PRIVATE);
  mount('tmpfs', $spec{root}, 'tmpfs', $NOSUID | $NODEV, 'size=4m,mode=755');
  make_image();
  make_root();
  furnish();
  my $whole = defined $spec{rootfs} ? '/mnt' : undef;    # Where the new root is put until it takes the place of the old one
  my @trees = map {
    my $fd = syscall($nr{open_tree}, -100, "$spec{root}$_->[0]", 1 | 0x8000 | 0x80000);    # CLONE, RECURSIVE, CLOEXEC
    $fd >= 0 or fail('open_tree (needs Linux 5.12)');
    [$fd, $_->[1]];
  } defined $whole ? ['', $whole] : map { [$_, $_] } @attach;
  my $pid = hear();
  sysread $told, my $waits, 6;    # It has opened its ends
  my @own = stat 'go';
  my @its = stat "/proc/$pid/root/run/cupola/go";
  "@own[0, 1]" eq "@its[0, 1]" or fail("process $pid is not the container here: does the engine run on another machine, or see other processes?");
  open(my $namespace, '<', "/proc/$pid/ns/mnt") or fail('namespace');
  syscall($nr{setns}, fileno($namespace), $NEWNS) == 0 or fail('setns');
  for (@trees) { my ($fd, $at) = @$_; syscall($nr{move_mount}, $fd, my $here = '', -100, "$at", 4) == 0 or fail("mount $at") }
  my $attributes = pack 'Q4', 1 | 2 | 4, 0, 0, 0;    # RDONLY, NOSUID, NODEV
  for (@seal) { syscall($nr{mount_setattr}, -100, "$_", 0x8000, $attributes, 32) == 0 or fail("seal $_") }
  enter_image($whole) if defined $whole;
  syswrite STDOUT, "attached\n";
  hear();
  syswrite $go, "go\n";
  sysread $told, my $word, 3;
  return 0;
}
sub enter_image {    # It becomes the root of all processes of the container, with the kernel's file systems that the engine has set up
  my ($new) = @_;
  for my $at ('/proc', '/dev', '/sys') { mount($at, "$new$at", '', 8192) }    # MS_MOVE
  chdir $new or fail("chdir $new");
  swap_root();
}
sub hear {    # A line of the agent's; without it, nothing more is to be done
  my $line = '';
  while ($line !~ /\n/) { sysread(STDIN, $line, 256, length $line) or exit 1 }
  return $line =~ s/\n.*//sr;
}

my ($status, $drain_until);
my $said = '';
while (sysread $fail_r, $said, 4096, length $said) { last if $said =~ /ok\n$/ }    # Until the init runs, or something before it has ended
$started = $said =~ s/ok\n$// ? 1 : 0;
$said =~ s/^\.+//;
$why ||= $said;
read_spec('spec');
$0 = "cupola-shim " . $spec{disk} =~ s{/disk$}{}r if defined $spec{disk};    # Where a folder kept ahead is now
if ($kind eq 'detached') {    # The tool has ended, and its container has become our child
  waitpid $child, 0;
  my $tool = $?;
  open(my $p, '<', 'pid');
  my $pid = $p ? <$p> : 0;
  kill 9, $pid if $pid && !$started;
  if ($pid) { $child = $pid + 0 }
  else { ($status, $drain_until) = ($tool, now_ms() + 2000) }
}
my $pid_start = sub { open(my $f, '<', "/proc/$_[0]/stat") or return ''; my $l = <$f>; (split / /, $l =~ s/^.*\) //r)[19] };
open(my $b, '<', '/proc/sys/kernel/random/boot_id');
chomp(my $boot = <$b> // '');
reserve_exit();
if ($started && !publish('state', join("\n", 'version 1', "shim $$ " . $pid_start->($$), "child $child " . $pid_start->($child), "boot $boot", 'started ' . now_ms()) . "\n")) {
  ($started, $why) = (0, "state: $!");
  kill 9, $child;
}

# One loop over output, orders and the end. Reads everything, drops the surplus, whole lines of it: an app is never slowed by its log.
my $max = 1 << 20;
my ($rate, $tokens, $filled, $dropped, $told) = ($spec{rate}, $spec{rate}, now_ms(), 0, 0);
my ($log, $number, $size) = (undef, 0, 0);
my (%torn, %skip);    # Of each stream: what was kept last ended within a line; what was dropped last did
my %begun = (o => '', e => '');    # Of each stream: read, and neither kept nor dropped yet
my $max_line = 65536;              # A longer one is cut by its readers
open_log();

sub open_log {
  close $log if $log;
  open($log, '>>', 'log.' . ++$number);
  $size = 0;
  unlink 'log.' . ($number - 4);
}
sub record {    # STREAM BYTES: header line, then the bytes. False when it could not be written whole: then it is cut back
  my ($stream, $bytes) = @_;
  my $text = now_ms() . " $stream " . length($bytes) . "\n$bytes";
  my $wrote = syswrite $log, $text;
  if (!defined $wrote || $wrote < length $text) { truncate $log, $size; return 0 }
  $size += $wrote;
  open_log() if $size >= $max;
  return 1;
}
sub take {    # what a pipe holds; 0 at its end
  my ($pipe, $stream) = @_;
  my $got = sysread $pipe, $begun{$stream}, 65536, length $begun{$stream};
  return 1 if !defined $got && $! == 4;    # EINTR
  keep_lines($stream, !$got);
  return $got ? 1 : 0;
}
sub keep_lines {    # STREAM ALL: of what has been read. The beginning of a line waits for its rest, as does whoever reads the log: all of it may pass, or nothing
  my ($stream, $all) = @_;
  my $got = $all ? length $begun{$stream} : 1 + rindex $begun{$stream}, "\n";
  $got = length $begun{$stream} if length($begun{$stream}) - $got > $max_line;
  return unless $got;
  my $bytes = substr $begun{$stream}, 0, $got, '';
  my $now = now_ms();
  my $from = $skip{$stream} ? 1 + index $bytes, "\n" : 0;
  $from = $got if $skip{$stream} && !$from;
  my $keep = $got - $from;
  if ($rate >= 0) {
    $tokens += ($now - $filled) * $rate / 1000;
    $tokens = $rate if $tokens > $rate;
    $filled = $now;
    # The newline at the end of a line is free, as in Diego: a line of just the limit is one that may pass
    $keep = 1 + ($tokens < 1 ? -1 : rindex substr($bytes, $from), "\n", $tokens) if $keep > $tokens;
    $tokens -= $keep;
  }
  $keep = 0 unless $keep && record($stream, substr $bytes, $from, $keep);
  my $end = $from + $keep;
  $torn{$stream} = substr($bytes, $end - 1, 1) ne "\n" if $keep;
  $torn{$stream} = !record($stream, "\n") if $torn{$stream} && $end < $got;
  $skip{$stream} = ($end < $got || !$keep) && substr($bytes, -1) ne "\n";
  $dropped += $got - $keep;
  note_dropped($now);
}
sub note_dropped {
  my ($now) = @_;
  return if !$dropped || $now - $told < 1000;
  $told = $now;
  $dropped = 0 if record('d', "$dropped");
}
sub target {    # the app's init: below bwrap, which must not get its signals
  my $pid = $child;
  for (1 .. 4) {
    open(my $c, '<', "/proc/$pid/comm") or return $pid;
    chomp(my $comm = <$c>);
    return $pid unless $comm eq 'bwrap';
    open(my $k, '<', "/proc/$pid/task/$pid/children") or return $pid;
    my ($next) = split / /, <$k> // '';
    return $pid unless $next;
    $pid = $next;
  }
  return $pid;
}
sub kill_all { kill 9, target(), $child; kill -9, $child if $kind eq 'process' }

my %open = (fileno($out_r) => [$out_r, 'o'], fileno($err_r) => [$err_r, 'e']);
# Readable once the child has ended: a signal could come between looking and waiting. Linux before 5.3 has none, there we look each second.
my $pidfd = syscall($nr{pidfd_open}, $child, 0);
while (1) {
  my $bits = '';
  vec($bits, fileno $ctl, 1) = 1;
  vec($bits, $pidfd, 1) = 1 if $pidfd >= 0 && !defined $status;
  vec($bits, $_, 1) = 1 for keys %open;
  my $wait = defined $status ? 0.02 : $dropped || $pidfd < 0 ? 1 : undef;
  my $n = select(my $ready = $bits, undef, undef, $wait);
  if ($n > 0) {
    for my $fd (keys %open) { my ($p, $s) = @{ $open{$fd} }; take($p, $s) || delete $open{$fd} if vec $ready, $fd, 1 }
    if (vec $ready, fileno $ctl, 1) {
      sysread $ctl, my $orders, 4096;
      for (split //, $orders // '') {
        next if defined $status;
        if ($_ eq 'T') { kill 15, target() }
        elsif ($_ eq 'K') { kill_all() }
      }
    }
  }
  note_dropped(now_ms()) if $dropped;
  if (!defined $status && ($pidfd < 0 || $n > 0 && vec $ready, $pidfd, 1)) {
    kill -9, $child if $kind eq 'process';    # Before it is reaped: until then its group's number is its own
    while ((my $pid = waitpid -1, 1) > 0) { $status = $? if $pid == $child }
    $drain_until = now_ms() + 2000 if defined $status;
  }
  last if defined $status && (!%open || now_ms() > $drain_until);
}
keep_lines($_->[1], 1) for values %open;    # Something that left its parents holds the pipe still
for (1 .. 200) {    # What left its parents has become our child, and goes too
  while (waitpid(-1, 1) > 0) { }
  open(my $k, '<', "/proc/$$/task/$$/children") or last;
  my @left = split / /, <$k> // '' or last;
  kill 9, @left;
  select undef, undef, undef, 0.01;
}
give_up($why) unless $started;
finish();

sub give_up { ($started, $why) = (0, @_); $status = 0; $number ||= 0; finish() }
sub finish {
  note_dropped($told + 1000) if $dropped;
  my $oom = 0;
  if (defined $spec{oom} && open(my $o, '<', $spec{oom})) { while (<$o>) { $oom = $1 if /^oom_kill (\d+)/ } }
  my $exit = join("\n", "started $started", 'why ' . substr($why =~ s/\n/ /gr, 0, $exit_max / 2), 'code ' . ($status >> 8), 'signal ' . ($status & 127), "oom $oom", 'at ' . now_ms(), "log $number $size") . "\n";
  select undef, undef, undef, 1 until publish_exit($exit);
  exit 0;
}
