package Etcdlocker::Test;

# What the scripts under t/integration have in common: real etcds, background processes that are ended by their id, and
# waiting for conditions with a bound. Nothing is left behind when a script ends, whatever way.

use strict;
use warnings;
use Exporter qw(import);
use Fcntl;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(:sys_wait_h dup2 setsid);
use Test::More;
use Time::HiRes qw(clock_gettime sleep CLOCK_MONOTONIC);

our @EXPORT = qw(
    $dir $locker $probe @etcdctl_flags free_port etcd_start etcd_stop etcd_need etcd_has_v2 cluster_start cluster_leader cluster_ready member_start etcdctl etcdctl_cmd snapshot_restore keys_left leases_left
    etcd_endpoint start finish run run_locker start_locker signal_process forget slurp spew wait_until alive children_of family_of now
    npm_program can_stand_in
);

our $dir = tempdir('etcdlocker-XXXXXX', TMPDIR => 1, CLEANUP => 1);
our $locker = $ENV{ETCDLOCKER} // "$ENV{BUILD_DIR}/etcdlocker";
our $probe = "$ENV{BUILD_DIR}/t/probe";
our @etcdctl_flags; # what etcdctl needs to get in
our $endpoint; # of the etcd that etcd_start() started last

my $main = $$;
my %running; # pid => 1, of everything that start() started and nobody waited for
my $serial = 0;

# Nothing of the caller's surroundings may decide a test; in a shell's background INT and QUIT are ignored.
@SIG{qw(HUP INT QUIT TERM PIPE CHLD)} = ('DEFAULT') x 6;
delete @ENV{grep { /^ETCD/ && !/^ETCD(?:CTL|LOCKER)?$/ || /^SSL_CERT_/ } keys %ENV};
$ENV{ETCDCTL_API} = 3;
# A busy disk takes seconds to sync, and costs short leases meanwhile; what an etcd that is killed has written is there
# without. (An etcd before 3.4.10 warns.)
$ENV{ETCD_UNSAFE_NO_FSYNC} = 'true';

sub now { return clock_gettime(CLOCK_MONOTONIC) }

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return <$in> // '';
}

sub spew {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
    return $path;
}

# Calls CONDITION until it is true, for at most SECONDS. Returns its value; false where the time was up.
sub wait_until {
    my ($condition, $seconds, $what) = @_;
    my $limit = now() + ($seconds // 10);
    while (1) {
        my $value = $condition->();
        return $value if $value;
        last if now() > $limit;
        sleep 0.005;
    }
    diag "waited in vain for $what" if $what;
    return;
}

# A port that nobody listens on, below those that the kernel hands out: such a one can become somebody's outgoing
# connection, even to itself, before its server binds it.
sub free_port {
    my ($first) = slurp('/proc/sys/net/ipv4/ip_local_port_range') =~ /^(\d+)/;
    my ($lowest, $above) = (10_000, $first // 32_768);
    $above = 65_536 if $above < $lowest + 10_000;
    for (1 .. 100) {
        my $port = $lowest + int rand($above - $lowest);
        return $port if IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $port);
    }
    die "no port: $!";
}

# True where PID is a process that is not a zombie.
sub alive {
    my ($pid) = @_;
    my ($state) = slurp("/proc/$pid/stat") =~ /.*\) (\S)/s;
    return defined $state && $state ne 'Z' && $state ne 'X';
}

sub children_of {
    my ($parent) = @_;
    # Whoever was not found has none.
    return if !defined $parent;
    my @found;
    for my $stat (glob '/proc/[0-9]*/stat') {
        my ($pid, $ppid) = slurp($stat) =~ /^(\d+) .*\) \S (\d+)/s or next;
        push @found, $pid if $ppid == $parent;
    }
    return sort { $a <=> $b } @found;
}

# What is below the main process of a holder: its supervisor, that one's keeper, and the command.
sub family_of {
    my ($process) = @_;
    my ($supervisor) = children_of($process->{pid});
    my ($keeper) = children_of($supervisor);
    my ($command) = children_of($keeper);
    return ($supervisor, $keeper, $command);
}

# True where a file can stand in for PLACE in a mount namespace: not in every container, and not where there is no PLACE.
sub can_stand_in {
    my ($place) = @_;
    return $> == 0 && system("unshare -m mount --bind /dev/null '$place' 2>/dev/null") == 0;
}

# Starts COMMAND in the background: { pid, out, err } with the names of files. Options: stdin, a file; env, a hash;
# before, code to run in the child.
sub start {
    my ($command, %options) = @_;
    my $base = "$dir/" . ++$serial;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', $options{stdin} // '/dev/null' or POSIX::_exit(98);
        open STDOUT, '>', $options{stdout} // "$base.out" or POSIX::_exit(98);
        open STDERR, '>>', $options{stderr} // "$base.err" or POSIX::_exit(98);
        while (my ($name, $value) = each %{ $options{env} // {} }) {
            $ENV{$name} = $value;
        }
        $options{before}->() if $options{before};
        exec { $command->[0] } @$command or POSIX::_exit(99);
    }
    $running{$pid} = 1;
    return { pid => $pid, out => "$base.out", err => "$base.err", since => now() };
}

# Waits for a process of start(), at most SECONDS, then kills it. Fills in code (128+n for a signal; undef where it had
# to be killed), seconds, stdout, stderr; returns the code.
sub finish {
    my ($process, $seconds) = @_;
    return $process->{code} if exists $process->{code};
    my $ended = wait_until(sub { waitpid($process->{pid}, WNOHANG) == $process->{pid} }, $seconds // 20);
    my $status = $?;
    if (!$ended) {
        diag "process $process->{pid} did not end: killed. Its stderr: " . slurp($process->{err});
        kill 'KILL', children_of($process->{pid}), $process->{pid};
        waitpid $process->{pid}, 0;
    }
    delete $running{ $process->{pid} };
    $process->{seconds} = now() - $process->{since};
    $process->{code} = !$ended ? undef : $status & 127 ? 128 + ($status & 127) : $status >> 8;
    $process->{stdout} = slurp($process->{out});
    $process->{stderr} = slurp($process->{err});
    return $process->{code};
}

# A process of start() that somebody else has waited for.
sub forget { my ($process) = @_; delete $running{ $process->{pid} }; return }

sub signal_process {
    my ($process, $signal) = @_;
    kill $signal, $process->{pid} or die "kill: $!";
    return;
}

sub run {
    my ($command, %options) = @_;
    my $process = start($command, %options);
    finish($process, $options{seconds});
    return $process;
}

sub start_locker {
    my ($arguments, %options) = @_;
    return start([$locker, defined $endpoint ? ('-e', $endpoint) : (), @$arguments], %options);
}

sub run_locker {
    my ($arguments, %options) = @_;
    my $process = start_locker($arguments, %options);
    finish($process, $options{seconds});
    return $process;
}

# The program FILE of the npm package PACKAGE (name@version), installed into the build directory the first time; undef where
# that cannot be.
sub npm_program {
    my ($package, $file) = @_;
    my $place = "$ENV{BUILD_DIR}/t/npm-" . $package =~ tr/@/-/r;
    my $program = "$place/node_modules/$file";
    if (!-x $program) {
        mkdir "$ENV{BUILD_DIR}/t";
        mkdir $place;
        spew("$place/package.json", '{}');
        # npm has a time limit of its own; a proxy that is silent is none of our business.
        system "cd '$place' && timeout 120 npm install --silent --no-audit --no-fund '$package' > npm.log 2>&1";
    }
    return -x $program ? $program : undef;
}

# --- etcd ---

sub etcd_endpoint { return $endpoint }

sub etcd_binary { return $ENV{ETCD} || 'etcd' }

# Skips the whole script where there is no etcd.
sub etcd_need {
    my $version = eval { run([etcd_binary(), '--version'], seconds => 10) };
    return if $version && defined $version->{code} && $version->{code} == 0;
    plan skip_all => 'no etcd: install etcd-server, or point $ETCD to one';
}

# True where it can speak the v2 API: 3.4 and 3.5 with --enable-v2.
sub etcd_has_v2 {
    my $help = run([etcd_binary(), '--help']);
    return "$help->{stdout}$help->{stderr}" =~ /--enable-v2/;
}

# Starts an etcd of one member on free ports, and waits until it serves. Options: port, peer, data: to start a stopped
# one again; arguments; secure: it is to speak https, as the arguments say.
sub etcd_start {
    my (%options) = @_;
    my $port = $options{port} // free_port();
    my $peer = $options{peer} // free_port();
    my $data = $options{data} // "$dir/etcd-" . ++$serial;
    my $scheme = $options{secure} ? 'https' : 'http';
    my $health = $options{secure} ? free_port() : $port;
    my $etcd = start([
        etcd_binary(), '--name', 'm', '--data-dir', $data,
        '--listen-client-urls', "$scheme://127.0.0.1:$port", '--advertise-client-urls', "$scheme://127.0.0.1:$port",
        '--listen-peer-urls', "http://127.0.0.1:$peer", '--initial-advertise-peer-urls', "http://127.0.0.1:$peer",
        '--initial-cluster', "m=http://127.0.0.1:$peer", @{ $options{arguments} // [] },
        $options{secure} ? ('--listen-metrics-urls', "http://127.0.0.1:$health") : (),
    ]);
    @$etcd{qw(port peer data endpoint)} = ($port, $peer, $data, ($options{secure} ? 'https://' : '') . "127.0.0.1:$port");
    $endpoint = $etcd->{endpoint};
    wait_until(sub { health($health) }, 30, 'etcd to serve') or not_serving($etcd);
    return $etcd;
}

# Ends all tests: nothing works without an etcd. Why, a panic's first line tells, or the end of what it said; a reason has
# one line.
sub not_serving {
    my ($etcd) = @_;
    my @said = split /\n/, slurp($etcd->{err});
    my @panic = grep { /^panic: |"level":"(?:fatal|panic)"/ } @said;
    @said = @panic if @panic;
    BAIL_OUT("$0: etcd " . (alive($etcd->{pid}) ? 'does not serve' : 'has ended') . ': ' . join ' | ', @said > 3 ? @said[-3 .. -1] : @said);
    return;
}

# Starts a cluster of three; returns its members, as etcd_start() does. endpoint() is all of them. Options: arguments, secure.
sub cluster_start {
    my (%options) = @_;
    my @ports = map { [free_port(), free_port()] } 1 .. 3;
    my $initial = join ',', map { "m$_=http://127.0.0.1:$ports[$_][1]" } 0 .. 2;
    my @members = map { {
        name => "m$_", port => $ports[$_][0], peer => $ports[$_][1], data => "$dir/m$_-" . ++$serial, initial => $initial,
        arguments => $options{arguments} // [], secure => $options{secure}, health => $options{secure} ? free_port() : $ports[$_][0],
    } } 0 .. 2;
    my $scheme = $options{secure} ? 'https://' : '';
    member_start($_) for @members;
    $endpoint = join ',', map { "${scheme}127.0.0.1:$_->{port}" } @members;
    cluster_ready(@members);
    return @members;
}

# Waits until each of MEMBERS serves.
sub cluster_ready {
    my (@members) = @_;
    for my $member (@members) {
        wait_until(sub { health($member->{health}) }, 30, 'a member to serve') or not_serving($member);
    }
    return;
}

# Starts a member of a cluster, for the first time or again.
sub member_start {
    my ($member) = @_;
    my $scheme = $member->{secure} ? 'https' : 'http';
    my $process = start([
        etcd_binary(), '--name', $member->{name}, '--data-dir', $member->{data},
        '--listen-client-urls', "$scheme://127.0.0.1:$member->{port}", '--advertise-client-urls', "$scheme://127.0.0.1:$member->{port}",
        '--listen-peer-urls', "http://127.0.0.1:$member->{peer}", '--initial-advertise-peer-urls', "http://127.0.0.1:$member->{peer}",
        '--initial-cluster', $member->{initial}, @{ $member->{arguments} },
        $member->{secure} ? ('--listen-metrics-urls', "http://127.0.0.1:$member->{health}") : (),
    ]);
    delete @$member{qw(code)};
    @$member{keys %$process} = values %$process;
    return $member;
}

# The leader among MEMBERS, as one that answers sees it; waits until there is one.
sub cluster_leader {
    my (@members) = @_;
    return wait_until(sub {
        for my $member (@members) {
            my ($leader, $id) = member_status($member) or next;
            return $member if $leader eq $id;
        }
        return;
    }, 20, 'a leader');
}

# What a member says: the leader's id and its own.
sub member_status {
    my ($member) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $member->{port}, Timeout => 1) or return;
    print $socket "POST /v3/maintenance/status HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}";
    my $answer = answer_of($socket, 2);
    my ($leader) = $answer =~ /"leader":"(\d+)"/ or return;
    my ($id) = $answer =~ /"member_id":"(\d+)"/ or return;
    return ($leader, $id);
}

sub health {
    my ($port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1) or return;
    print $socket "GET /health HTTP/1.0\r\n\r\n";
    return answer_of($socket, 5) =~ /"health":\s*"true"/;
}

# What comes on SOCKET until its end, within SECONDS; else ''.
sub answer_of {
    my ($socket, $seconds) = @_;
    local $SIG{ALRM} = sub { die "silent\n" };
    my $answer = eval { alarm $seconds; local $/; my $all = <$socket>; alarm 0; $all } // '';
    alarm 0;
    return $answer;
}

sub etcd_stop {
    my ($etcd, $signal) = @_;
    kill $signal // 'TERM', $etcd->{pid};
    finish($etcd, 20);
    return;
}

sub etcdctl_cmd { return ($ENV{ETCDCTL} || 'etcdctl', '--endpoints', $endpoint, @etcdctl_flags, @_) }

# What etcdctl prints. The last argument may be a hash of options for start().
sub etcdctl {
    my (@arguments) = @_;
    my $options = ref $arguments[-1] ? pop @arguments : {};
    my $process = run([etcdctl_cmd(@arguments)], seconds => 20, %$options);
    diag "etcdctl @arguments: $process->{stderr}" if !defined $process->{code} || $process->{code} != 0;
    return $process->{stdout};
}

# Makes of the snapshot COPY the data directory of a member, {name, data, peer: its URL}, whose cluster is INITIAL, as
# --initial-cluster has it. Each minor version of etcd has a tool of its own for that; etcdctl has it only up to 3.5.
# Returns the tool's process, which has ended.
sub snapshot_restore {
    my ($copy, $member, $initial, @arguments) = @_;
    my $tool = etcd_binary() =~ s/etcd$/etcdutl/r;
    $tool = $ENV{ETCDCTL} || 'etcdctl' if !-x $tool;
    return run([$tool, 'snapshot', 'restore', $copy, '--name', $member->{name}, '--data-dir', $member->{data}, '--initial-cluster', $initial,
        '--initial-advertise-peer-urls', $member->{peer}, @arguments], seconds => 20);
}

sub keys_left {
    my ($key) = @_;
    return grep { length } split /\n/, etcdctl('get', '--prefix', '--keys-only', "$key/");
}

sub leases_left {
    my ($first, @leases) = split /\n/, etcdctl('lease', 'list');
    return grep { length } @leases;
}

END {
    # Forked children of a script come by here too.
    if ($$ == $main) {
        my $status = $?;
        for my $pid (keys %running) {
            my @tree = ($pid);
            for (my $i = 0; $i < @tree; $i++) {
                push @tree, children_of($tree[$i]);
            }
            kill 'KILL', reverse @tree;
            waitpid $pid, 0;
        }
        $? = $status;
    }
}

1;
