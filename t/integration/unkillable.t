# A command that SIGKILL does not end, at once or at all: a task frozen by the freezer of cgroup v1 is one, until it is
# thawed.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
my ($mount) = slurp('/proc/self/mountinfo') =~ m{^\S+ \S+ \S+ / (\S+) .* - cgroup \S+ \S*\bfreezer\b}m;
plan skip_all => 'no freezer of cgroup v1 is mounted' if !defined $mount;
my $freezer = "$mount/etcdlocker-test-$$";
plan skip_all => "cannot make a cgroup below $mount" if !mkdir $freezer;
my $etcd = etcd_start();
my $key = '/unkillable';

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
    return $owner;
}

sub thaw {
    my ($owner) = @_;
    set_freezer('THAWED');
    return wait_until(sub { !alive($owner->{command}) }, 10);
}

{
    my $owner = hold_frozen('-t', 4, '-g', '100ms');
    my $since = now();
    kill 'TERM', $owner->{pid};
    is finish($owner, 20), 3, 'told to end, but it cannot be killed: 3';
    cmp_ok now() - $since, '>', 10, 'after 10 s of trying';
    like $owner->{stderr}, qr/cannot be killed .*: the lock is not released/, 'said why';
    is scalar(keys_left($key)), 1, 'the lock is still ours';
    ok alive($owner->{command}), 'as the command is still there';
    my $next = run_locker(['-k', $key, '--', 'true']);
    is $next->{code}, 0, 'the lease ends by itself';
    ok thaw($owner), 'thawed, it dies';
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
    like $owner->{stderr}, qr/cannot be killed: the lock is not released/, 'said by the sentinel';
    ok thaw($owner), 'thawed, it dies';
}

done_testing;
