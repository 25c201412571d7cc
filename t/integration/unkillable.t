# A command that SIGKILL does not end, at once or at all, keeps its lock: one that is frozen by the freezer of cgroup v1,
# until it is thawed, and one that has become another user.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
my $etcd = etcd_start();
my $key = '/unkillable';

# --- a user's etcdlocker, and a program of root's ---

SKIP: {
    skip 'not root: no program with the setuid bit to be had', 12 if $> != 0;
    chmod 0755, $dir;
    my $program = "$dir/setuid";
    run(['cp', "$ENV{BUILD_DIR}/t/unruly", $program]);
    chown 0, 0, $program;
    chmod 04755, $program;
    my @as_user = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups');
    is run([@as_user, $program, 'setuid', '0'])->{stdout}, "root\n", 'a program that becomes root' or skip 'no setuid here', 11;

    my $file = "$dir/two";
    my $owner = start([@as_user, $locker, '-e', etcd_endpoint(), '-k', $key, '-t', 3, '-g', '100ms', '--restart=always', '--', $program, 'setuid', '12']);
    ok wait_until(sub { slurp($owner->{out}) =~ /root/ }, 10), 'runs';
    my $next = start_locker(['-k', $key, '--', 'sh', '-c', "cat $owner->{out} > $file"]);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next one to queue');
    kill 'TERM', $owner->{pid};
    # Four TTLs later.
    is finish($owner, 30), 143, 'told to end, and not allowed to kill it: it waits until it ends by itself, then 143';
    cmp_ok $owner->{seconds}, '>', 11, 'which takes its time';
    # (A build for coverage complains besides that a user may not write its files.)
    my @lines = grep { /^etcdlocker: / } split /\n/, $owner->{stderr};
    cmp_ok scalar @lines, '<=', 5, 'with at most five lines' or diag $owner->{stderr};
    like $owner->{stderr}, qr/process \d+ \(setuid\) cannot be killed: it runs as user 0, whom user 65534 may not signal; end it as that user or as root\. The lock is kept/, 'which say who, why, and what to do';
    like $owner->{stderr}, qr/^etcdlocker: cannot send TERM to the command, process \d+: Operation not permitted$/m, 'and that TERM was not sent';
    is finish($next), 0, 'then the next one starts';
    is slurp($file), "root\n", 'when it was over, and it was not started again';

    $owner = start([@as_user, $locker, '-e', etcd_endpoint(), '-k', $key, '-t', 3, '-g', '100ms', '--relock', '--', $program, 'setuid', '40']);
    wait_until(sub { slurp($owner->{out}) =~ /root/ }, 10, 'the program to run');
    etcdctl('del', '--prefix', "$key/");
    is finish($owner, 30), 3, 'where the lock is lost as well: 3, also with --relock';
    like $owner->{stderr}, qr/cannot be killed \(for 10s after the lock was lost\): it may run beside the next one$/m, 'which is said';
    kill 'KILL', grep { slurp("/proc/$_/cmdline") =~ /^\Q$program\E\0/ } map { m{(\d+)} } glob '/proc/[0-9]*';
    is scalar(keys_left($key)), 0, 'nothing is left';
}

# --- dead, but traced by somebody who does not wait for it ---

SKIP: {
    my $owner = start_locker(['-k', $key, '-g', '100ms', '--', 'sh', '-c', 'echo on; exec sleep 300']);
    wait_until(sub { slurp($owner->{out}) =~ /on/ }, 10, 'the command to run');
    my (undef, undef, $command) = family_of($owner);
    my $tracer = start(["$ENV{BUILD_DIR}/t/unruly", 'hold', $command]);
    wait_until(sub { slurp($tracer->{out}) =~ /held/ || !alive($tracer->{pid}) }, 10);
    slurp($tracer->{out}) =~ /held/ or kill('KILL', $owner->{pid}) && skip 'no process can be held up as a debugger does (ptrace)', 4;
    kill 'TERM', $owner->{pid};
    is finish($owner, 10), 143, 'told to end, and its tracer does not wait for it: 143';
    like slurp("/proc/$command/stat"), qr/\) Z /, 'though it is a zombie still';
    is scalar(keys_left($key)), 0, 'the lock is free';
    kill 'KILL', $tracer->{pid};
    finish($tracer);
    ok wait_until(sub { !-e "/proc/$command" }, 10), 'which goes with its tracer';
}

# --- frozen ---

my ($mount) = slurp('/proc/self/mountinfo') =~ m{^\S+ \S+ \S+ / (\S+) .* - cgroup \S+ \S*\bfreezer\b}m;
my $freezer = defined $mount ? "$mount/etcdlocker-test-$$" : undef;
if (!defined $freezer || !mkdir $freezer) {
    undef $freezer;
    SKIP: { skip 'no freezer of cgroup v1 is mounted, or it is not ours', 1 }
    done_testing;
    exit;
}

# The tasks of a freezer, frozen or thawed.
sub set_freezer {
    my ($state) = @_;
    spew("$freezer/freezer.state", $state);
    return wait_until(sub { slurp("$freezer/freezer.state") eq "$state\n" }, 10);
}

END {
    if (defined $freezer && -d $freezer) {
        my $code = $?;
        set_freezer('THAWED');
        wait_until(sub { rmdir $freezer }, 10);
        $? = $code;
    }
}

# Runs a command that is frozen as soon as it has written its pid.
sub hold_frozen {
    my (@arguments) = @_;
    my $owner = start_locker(['-k', $key, @arguments, '--', 'sh', '-c', "echo \$\$ > $dir/pid.new; mv $dir/pid.new $dir/pid; exec sleep 300"]);
    wait_until(sub { -s "$dir/pid" }, 10, 'the command to run');
    chomp($owner->{command} = slurp("$dir/pid"));
    unlink "$dir/pid";
    spew("$freezer/cgroup.procs", $owner->{command});
    ok set_freezer('FROZEN'), 'a frozen command';
    ($owner->{supervisor}) = children_of($owner->{pid});
    ($owner->{keeper}) = children_of($owner->{supervisor});
    return $owner;
}

sub thaw {
    my ($owner) = @_;
    set_freezer('THAWED');
    return wait_until(sub { !alive($owner->{command}) }, 10);
}

{
    my $owner = hold_frozen('-t', 4, '-g', '100ms', '-v');
    kill 'TERM', $owner->{pid};
    ok wait_until(sub { slurp($owner->{err}) =~ /process $owner->{command} \(sleep\) cannot be killed: it sleeps in the kernel/ }, 10), 'told to end, but it cannot be killed: said';
    # Three leases long.
    my $before = () = slurp($owner->{err}) =~ /renewed/g;
    ok wait_until(sub { (() = slurp($owner->{err}) =~ /renewed/g) >= $before + 6 }, 20), 'the lock goes on being renewed';
    ok alive($owner->{command}), 'while the command is there';
    is scalar(keys_left($key)), 1, 'and is ours';
    is run_locker(['-k', $key, '--try', '--', 'true'])->{code}, 1, 'nobody else gets it';
    ok thaw($owner), 'thawed, it dies';
    is finish($owner), 143, 'and the first cause counts: 143';
    cmp_ok scalar(() = $owner->{stderr} =~ /cannot be killed/g), '<=', 3, 'it was not said too often';
    is scalar(keys_left($key)), 0, 'the lock is free';
}

{
    my $owner = hold_frozen('-t', 4, '-g', '100ms');
    etcdctl('del', '--prefix', "$key/");
    my $since = now();
    is finish($owner, 20), 3, 'its key deleted, and it cannot be killed: 3';
    cmp_ok now() - $since, '>', 9, 'after 10 s of trying';
    like $owner->{stderr}, qr/cannot be killed \(for 10s after the lock was lost\)/, 'said why';
    ok alive($owner->{keeper}), 'the keeper stays';
    ok thaw($owner), 'thawed, it dies';
    ok wait_until(sub { !alive($owner->{keeper}) }, 10), 'and the keeper goes';
}

{
    # Slow to die: the sentinel, which acts at the deadline, must see that the supervisor is at work.
    my $owner = hold_frozen('-t', 3, '-g', '100ms', '-v');
    kill 'STOP', $etcd->{pid};
    ok wait_until(sub { slurp($owner->{err}) =~ /-> KILLING/ }, 10), 'etcd silent: the command is killed, in vain';
    # Well after the deadline: two of the supervisor's longest pauses.
    select undef, undef, undef, 2.5;
    ok alive($owner->{supervisor}), 'the supervisor goes on after the deadline';
    kill 'CONT', $etcd->{pid};
    ok thaw($owner), 'thawed, it dies';
    is finish($owner), 2, 'lost: 2, as the supervisor has it';
    unlike $owner->{stderr}, qr/did not move/, 'the sentinel has not taken over';
}

{
    my $owner = hold_frozen('-t', 4);
    kill 'KILL', $owner->{supervisor};
    is finish($owner, 20), 3, 'supervisor killed, and the command cannot be: 3';
    like $owner->{stderr}, qr/cannot be killed: the lock \/unkillable is not released/, 'said by the sentinel';
    ok thaw($owner), 'thawed, it dies';
}

done_testing;
