# Liveness: Node.js modules over their IPC channel, anything else over two descriptors or sd_notify.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
etcd_start();
my $source = $ENV{SOURCE_DIR};
# Pings are what this is about: the TTL is so long that an etcd that stalls for seconds costs no lock.
my @fast = ('-t', 8, '-r', '400ms', '-g', '300ms');
my @at_once = ('--ping-start', '3s');
my $count = 0;

# Starts a command of the kind that WAY says; each on a key of its own, so that they can run side by side.
sub begin {
    my ($name, $code, $said, $way, @command) = @_;
    my $key = '/ping/' . ++$count;
    my %env = ref $command[0] ? %{ shift @command } : ();
    # On a busy machine a program may take seconds to load; those that this is about say so.
    my $process = start_locker(['-v', '-k', $key, @fast, '--ping-start', '20s', @$way, '--', @command], env => \%env);
    return { name => $name, code => $code, said => $said, key => $key, process => $process };
}

sub check {
    for my $case (@_) {
        my $process = $case->{process};
        is finish($process, 30), $case->{code}, "$case->{name}: $case->{code}" or diag $process->{stderr};
        # The last line says it, and only where there is something to say.
        my ($last) = $process->{stderr} =~ /([^\n]*)\n\z/;
        like $last, $case->{said}, "$case->{name}: and why" if $case->{said};
        is_deeply [keys_left($case->{key})], [], "$case->{name}: the lock is free";
    }
    return;
}

# --- Node ---

# Debian's, the oldest and the newest that there are binaries of: the npm package "node" has them.
sub nodes {
    my @nodes;
    push @nodes, 'node' if system('node --version > /dev/null 2>&1') == 0;
    for my $version ('0.10', 'latest') {
        my $binary = npm_program("node\@$version", 'node/bin/node');
        push @nodes, $binary if defined $binary && system("$binary --version > /dev/null 2>&1") == 0;
    }
    return @nodes;
}

my @nodes = nodes();
SKIP: {
    skip 'node and npm are missing, or npm has no registry', 1 if !@nodes;
    note 'not all three versions of Node are here' if @nodes < 3;
    for my $node (@nodes) {
        chomp(my $version = `$node --version`);
        my $module = "$source/t/child.js";
        my $case = sub {
            my ($name, $code, $said, @options) = @_;
            return begin("Node $version, $name", $code, $said, ['-n', @options], { ETCD_LOCK_NODE => $node }, $module, $name);
        };
        my $no_answer = qr/the command did not answer ping \d+ within 3s$/;
        check(
            $case->('happy', 7), $case->('exits', 5), $case->('chatty', 7), $case->('handle', 7), $case->('late', 7),
            $case->('wrong', 4, qr/the command answered with pong 2 to ping 1$/),
            $case->('odd', 4, qr/the command sent '\{"pong":"one"\}' to answer ping 1$/),
            $case->('disconnect', 4, qr/the command has closed its end of the channel$/),
        );
        check(
            $case->('blocked', 4, qr/the command did not answer ping 3 within 8s$/), $case->('deaf', 4, $no_answer, @at_once),
            $case->('loads', 4, $no_answer, @at_once), $case->('loads', 7, undef, '--ping-start', '10s'),
            $case->('long', 4, qr/the command sent a line of more than 1 MiB$/),
            $case->('garbage', 4, qr/the command sent 'rubbish' to answer ping 1$/),
        );
        my $run = run_locker(['-k', '/ping/words', '-n', '--', $module, 'arguments', 'one two', 'three'], env => { ETCD_LOCK_NODE => $node, NODE_UNIQUE_ID => 7 });
        is $run->{stdout}, "one two|three|undefined|undefined\n", "Node $version: its arguments, and no variable of somebody else's cluster";
    }
    my $variable = run_locker(['-k', '/ping/variable', '--', "$source/t/child.js", 'happy'], env => { ETCD_CHILD_IS_NODE => 1, ETCD_LOCK_NODE => $nodes[0] });
    is $variable->{code}, 7, 'ETCD_CHILD_IS_NODE is -n';
    my $missing = run_locker(['-k', '/ping/missing', '-n', '--', 'x.js'], env => { ETCD_LOCK_NODE => '/no/node' });
    is $missing->{code}, 3, 'no node: 3';
    like $missing->{stderr}, qr{cannot start '/no/node'}, 'and says which';
}

# --- descriptors ---

my $worker = spew("$dir/worker.sh", <<'SH');
case $1 in
happy) n=0; while [ $n -lt 3 ] && read -r p <&$ETCD_LOCK_PING_FD; do echo "$p" >&$ETCD_LOCK_PONG_FD; n=$((n + 1)); done; exit 7 ;;
blocked) read -r p <&$ETCD_LOCK_PING_FD; echo "$p" >&$ETCD_LOCK_PONG_FD; exec sleep 60 ;;
wrong) read -r p <&$ETCD_LOCK_PING_FD; echo "$p$p" >&$ETCD_LOCK_PONG_FD; exec sleep 60 ;;
odd) echo nonsense >&$ETCD_LOCK_PONG_FD; exec sleep 60 ;;
disconnect) eval "exec $ETCD_LOCK_PONG_FD>&-"; exec sleep 60 ;;
exits) read -r p <&$ETCD_LOCK_PING_FD; exit 5 ;;
loads) sleep 4; read -r p <&$ETCD_LOCK_PING_FD; echo "$p" >&$ETCD_LOCK_PONG_FD; sleep 0.5; exit 7 ;;
deaf) exec sleep 60 ;;
esac
SH
my $python = spew("$dir/worker.py", <<'PY');
import os, sys, time
ping, pong = (os.fdopen(int(os.environ[n]), m, 1) for n, m in (("ETCD_LOCK_PING_FD", "r"), ("ETCD_LOCK_PONG_FD", "w")))
def answer(rounds):
    for _ in range(rounds): pong.write(ping.readline())
case = sys.argv[1]
if case == "happy": answer(3); sys.exit(7)
if case == "blocked": answer(1)
if case == "wrong": pong.write(str(int(ping.readline()) + 10) + "\n")
if case == "odd": pong.write("nonsense\n")
if case == "disconnect": pong.close()
if case == "exits": ping.readline(); sys.exit(5)
if case == "loads": time.sleep(4); answer(1); time.sleep(0.5); sys.exit(7)
time.sleep(60)
PY
for my $language (['sh', 'sh', $worker], system('python3 --version > /dev/null 2>&1') == 0 ? ['Python', 'python3', $python] : ()) {
    my ($name, @start) = @$language;
    my $case = sub {
        my ($case, $code, $said, @options) = @_;
        return begin("$name, $case", $code, $said, ['--ping', @options], @start, $case);
    };
    check(
        $case->('happy', 7), $case->('exits', 5), $case->('blocked', 4, qr/the command did not answer ping 2 within 8s$/),
        $case->('wrong', 4, qr/the command answered with pong 1\d* to ping 1$/),
        $case->('odd', 4, qr/the command sent 'nonsense' to answer ping 1$/),
        $case->('disconnect', 4, qr/the command has closed its end of the channel$/),
        $case->('loads', 4, qr/the command did not answer ping 1 within 3s$/, @at_once), $case->('loads', 7, undef, '--ping-start', '10s'),
        $case->('deaf', 4, qr/the command did not answer ping 1 within 3s$/, @at_once),
    );
}

{
    # Descriptors that we were given keep their numbers, and the command's are others.
    my $run = run(['sh', '-c', "exec 3> $dir/three 4< /dev/null; exec \"\$@\"", 'sh', $locker, '-k', '/ping/numbers', '--ping=fd', '-e', etcd_endpoint(), '--',
        'sh', '-c', 'echo three >&3; read -r p <&$ETCD_LOCK_PING_FD; echo "$p" >&$ETCD_LOCK_PONG_FD; echo $ETCD_LOCK_PING_FD $ETCD_LOCK_PONG_FD']);
    is $run->{stdout}, "5 6\n", 'the lowest numbers that are free';
    is slurp("$dir/three"), "three\n", 'and what was passed on is still there';
    is $run->{code}, 0, 'it ends as it likes' or diag $run->{stderr};
}

{
    # A command that never reads: the pipe fills up, and nothing waits for it.
    my $owner = start_locker(['-k', '/ping/full', @fast, '--ping', '--', 'sleep', 60]);
    my $key = '';
    ok wait_until(sub { ($key) = keys_left('/ping/full'); $key }, 10), 'held';
    is finish($owner), 4, 'silence: 4';
}

# --- sd_notify ---

my $notify = sub {
    my ($case, $code, $said, $script, @options) = @_;
    return begin("sd_notify, $case", $code, $said, ['--ping=sd_notify', @options], $^X, '-MSocket', '-MTime::HiRes=sleep', '-e',
        'sub say_it { socket my $s, AF_UNIX, SOCK_DGRAM, 0; (my $n = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/; send $s, $_[0], 0, pack_sockaddr_un($n) } ' . $script);
};
check(
    $notify->('happy', 7, undef, 'for (1 .. 10) { say_it("WATCHDOG=1\nSTATUS=well"); sleep 0.4 } exit 7'),
    $notify->('its period', 0, undef, 'say_it("WATCHDOG=1"); exit($ENV{WATCHDOG_USEC} != 8000000 || exists $ENV{WATCHDOG_PID})'),
    $notify->('blocked', 4, qr/the command did not say WATCHDOG=1 within 8s$/, 'say_it("WATCHDOG=1"); sleep 60'),
    $notify->('trigger', 4, qr/the command said WATCHDOG=trigger$/, 'say_it("READY=1\nWATCHDOG=trigger"); sleep 60'),
    $notify->('deaf', 4, qr/the command did not say WATCHDOG=1 within 3s$/, 'say_it("READY=1"); sleep 60', @at_once),
    $notify->('loads', 7, undef, 'sleep 4; say_it("WATCHDOG=1"); exit 7', '--ping-start', '10s'),
);

{
    # Where its life hangs on it, nobody else can fill the socket.
    my $watched = start_locker(['-k', '/ping/private', '--ping=sd_notify', '-t', 60, '--', $^X, '-e', '$| = 1; print "$ENV{NOTIFY_SOCKET}\n"; sleep 100']);
    wait_until(sub { slurp($watched->{out}) =~ /\n/ }, 10, 'its address');
    my ($path) = slurp($watched->{out}) =~ m{^(/.*)/notify$}m;
    ok defined $path, 'the socket is in a directory' or diag slurp($watched->{out});
    is((stat $path)[2] & 0777, 0700, 'which is nobody else\'s');
    kill 'TERM', $watched->{pid};
    finish($watched);
    ok !-e $path, 'and gone at the end';
    $watched = start_locker(['-k', '/ping/private', '--ping=sd_notify', '-t', 60, '--', $^X, '-e', '$| = 1; print "$ENV{NOTIFY_SOCKET}\n"; sleep 100']);
    wait_until(sub { slurp($watched->{out}) =~ /\n/ }, 10, 'its address');
    ($path) = slurp($watched->{out}) =~ m{^(/.*)/notify$}m;
    kill 'KILL', (family_of($watched))[0];
    is finish($watched), 2, 'a supervisor that is killed';
    ok !-e $path, 'leaves none behind';
    SKIP: {
        skip 'not root', 1 if $> != 0;
        my $daemon = run_locker(['-k', '/ping/user', '--ping=sd_notify', '-t', 6, '-r', 1, '--', $^X, '-MSocket', '-e',
            '$) = "65534 65534"; $( = 65534; ($<, $>) = (65534, 65534); for (1 .. 30) { socket my $s, AF_UNIX, SOCK_DGRAM, 0; send $s, "WATCHDOG=1", 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET}); select undef, undef, undef, 0.3 } exit 7'], seconds => 40);
        is $daemon->{code}, 7, 'a daemon that becomes another user reaches it all the same' or diag $daemon->{stderr};
    }
}
SKIP: {
    skip 'not root', 2 if $> != 0;
    # Its own file system may know no such bit.
    my $copy = "$dir/setuid";
    system 'cp', $locker, $copy;
    chmod 0755, $dir;
    chmod 04755, $copy;
    chown 1, 1, $copy;
    chmod 04755, $copy;
    my $run = run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', $copy, '-k', '/x', '--', 'true']);
    skip 'no setuid programs here', 2 if $run->{stderr} !~ /setuid/ && system("findmnt -n -o OPTIONS --target '$dir' | grep -q nosuid") == 0;
    like $run->{stderr}, qr/^etcdlocker: installed setuid, setgid or with capabilities/, 'installed setuid, it says so';
    skip 'a sanitizer that ends setuid programs with a code of its own', 1 if $run->{stderr} =~ /LeakSanitizer has encountered a fatal error/;
    is $run->{code}, 64, 'and does nothing';
}

# --- the examples ---

{
    my $run = sub { my ($name, @arguments) = @_; return begin("example $name", 0, undef, @arguments) };
    my $c = system(($ENV{CC} // 'cc') . " -Wall -Wextra -Werror -o $dir/answer $source/contrib/ping/answer.c") == 0;
    ok $c, 'the example in C compiles';
    my @cases = ($run->('sh', ['--ping'], "$source/contrib/ping/answer.sh"), $run->('C', ['--ping'], "$dir/answer"));
    push @cases, $run->('Node', ['-n'], { ETCD_LOCK_NODE => $nodes[0] }, "$source/contrib/ping/answer.js") if @nodes;
    push @cases, $run->("Python, $_", [$_], 'python3', "$source/contrib/ping/answer.py") for system('python3 --version > /dev/null 2>&1') == 0 ? qw(--ping=fd --ping=sd_notify) : ();
    if (system('go version > /dev/null 2>&1') == 0) {
        is system("cd $dir && GOCACHE=$dir/go GOFLAGS= go build -o $dir/answer-go $source/contrib/ping/answer.go"), 0, 'the example in Go compiles';
        push @cases, $run->('Go', ['--ping'], "$dir/answer-go");
    }
    check(@cases);
}

# --- wrong usage ---

for my $wrong (['--ping=loud', qr/'loud' is not a way to ping; fd and sd_notify are/], ['--ping-start=0', qr/no time to answer in/]) {
    my $run = run_locker(['-k', '/ping/wrong', $wrong->[0], '--', 'true']);
    is $run->{code}, 64, "$wrong->[0]: 64";
    like $run->{stderr}, $wrong->[1], 'and says what would work';
}
my $both = run_locker(['-k', '/ping/wrong', '-n', '--ping', '--', 'true']);
is $both->{code}, 64, 'two ways at once: 64';
like $both->{stderr}, qr/pinged in one way/, 'and says so';
is_deeply [leases_left()], [], 'no lease is left';

done_testing;
