# The keeper, between the supervisor and the command: whichever of us are killed or stopped, nothing of the tree lives on.
use strict;
use warnings;
use Etcdlocker::Test;
use POSIX ();
use Test::More;

etcd_need();
etcd_start();
my $key = '/keeper';

# A command with a child in its group and one in a session of its own, both deaf to TERM; each writes its pid.
my $tree = spew("$dir/tree.sh", <<'SH');
trap '' TERM HUP INT
cd "$1"
sh -c 'echo $$ >> pids; exec sleep 300' &
setsid sh -c 'echo $$ >> pids; exec sleep 300' &
echo $$ >> pids
sleep 300
SH

# Holds the lock. Adds to what start() returns: supervisor, keeper, pids (of the tree).
sub hold {
    my (@options) = @_;
    my $place = "$dir/" . now();
    mkdir $place or die;
    my $owner = start_locker(['-k', $key, @options, '--', 'sh', $tree, $place], before => sub { setpgrp 0, 0 });
    wait_until(sub { split(/\n/, slurp("$place/pids")) == 3 }, 15, 'the tree to grow') or BAIL_OUT(slurp($owner->{err}));
    ($owner->{supervisor}) = children_of($owner->{pid});
    ($owner->{keeper}) = children_of($owner->{supervisor});
    $owner->{pids} = [split /\n/, slurp("$place/pids")];
    return $owner;
}

sub none_alive {
    my ($owner, $seconds, $what) = @_;
    return ok wait_until(sub { !grep { alive($_) } @{ $owner->{pids} }, @$owner{qw(supervisor keeper)} }, $seconds), $what;
}

sub group_of { return (slurp("/proc/$_[0]/stat") =~ /.*\) \S \d+ (\d+)/)[0] }

# What etcd still has of us is gone by itself after the lease, at the latest.
sub free_within {
    my ($seconds, $what) = @_;
    return ok wait_until(sub { !keys_left($key) }, $seconds), $what;
}

{
    my $owner = hold('-g', '100ms');
    my @ours = @$owner{qw(pid supervisor keeper)};
    my %groups = map { group_of($_) => 1 } @ours, $owner->{pids}[-1];
    is scalar(keys %groups), 4, 'each of us and the command is in a process group of its own';
    is slurp("/proc/$owner->{keeper}/comm"), "lock-keeper\n", 'the keeper has a name of its own';
    unlike slurp("/proc/$owner->{keeper}/cmdline"), qr/etcdlocker/, 'in its command line, too';
    kill 'KILL', -$owner->{pid};
    finish($owner);
    none_alive($owner, 5, 'SIGKILL to our process group: nothing lives on');
    free_within(3, 'and the lock is released');
}

{
    my $owner = hold('-t', 3);
    kill 'KILL', grep { slurp("/proc/$_/comm") eq "etcdlocker\n" } @$owner{qw(pid supervisor keeper)};
    finish($owner);
    none_alive($owner, 2, 'killed, all that are named etcdlocker: nothing lives on');
    free_within(10, 'and the lease ends');
}

{
    my $owner = hold('-t', 3);
    my $since = now();
    kill 'STOP', $owner->{supervisor};
    kill 'KILL', $owner->{pid};
    finish($owner);
    none_alive($owner, 10, 'main process killed, supervisor stopped: nothing lives on');
    cmp_ok now() - $since, '<', 3.5, 'when the lease ends';
    free_within(10, 'and the lock is free');
}

{
    my $owner = hold('-t', 3);
    my $since = now();
    kill 'STOP', @$owner{qw(pid supervisor)};
    ok wait_until(sub { !grep { alive($_) } @{ $owner->{pids} } }, 10), 'main process and supervisor stopped: nothing of the tree lives on';
    cmp_ok now() - $since, '<', 3.5, 'when the lease ends';
    kill 'CONT', $owner->{pid};
    is finish($owner), 2, 'and when the main process goes on, 2';
}

{
    my $owner = hold('-t', 3);
    my $since = now();
    kill 'STOP', @$owner{qw(keeper pid supervisor)};
    ok wait_until(sub { !grep { alive($_) } @{ $owner->{pids} } }, 10), 'all three stopped: nothing of the tree lives on';
    cmp_ok now() - $since, '<', 3.5, 'when the lease ends';
    kill 'CONT', $owner->{pid};
    is finish($owner), 2, 'and when the main process goes on, 2';
}

{
    my $owner = start_locker(['-v', '-k', $key, '--restart=always', '-g', '5s', '--', 'sh', '-c', "trap '' TERM; sleep 300 & exit 1"]);
    wait_until(sub { slurp($owner->{err}) =~ /-> SWEEPING/ }, 10, 'the command to end');
    kill 'KILL', (family_of($owner))[1];
    is finish($owner), 137, 'keeper killed when the command has ended, and is to be started again: 137';
}

{
    my $owner = hold('--restart=always');
    kill 'KILL', $owner->{keeper};
    is finish($owner), 137, 'keeper killed: 137, also with --restart';
    like $owner->{stderr}, qr/^etcdlocker: our keeper process was killed: killing the command$/m, 'and said';
    none_alive($owner, 0, 'nothing lives on');
    is scalar(keys_left($key)), 0, 'the lock is free';
}

{
    my $owner = hold('-g', '100ms');
    kill 'STOP', $owner->{keeper};
    kill 'TERM', $owner->{pid};
    is finish($owner, 10), 143, 'keeper stopped: it is woken up for what there is to do';
    none_alive($owner, 0, 'nothing lives on');
    is scalar(keys_left($key)), 0, 'the lock is free';
}

{
    # All but the keeper, which is stopped besides, and cannot act.
    my $owner = hold('-t', 3);
    kill 'STOP', $owner->{keeper};
    kill 'KILL', $owner->{supervisor};
    is finish($owner, 10), 2, 'keeper stopped, supervisor killed: 2';
    none_alive($owner, 0, 'nothing lives on');
    is scalar(keys_left($key)), 0, 'the lock is free';
}

# The order to start waits for a keeper that is stopped. When it goes on, the lock is lost, or those who gave the order are dead.
for my $case (['the lock is lost', sub { etcdctl('del', '--prefix', "$key/") }, 2], ['the supervisor is killed', sub { kill 'KILL', (family_of($_[0]))[0] }, 2],
    ['main process and supervisor are killed', sub { kill 'KILL', (family_of($_[0]))[0], $_[0]{pid} }, 137]) {
    my ($name, $act, $code) = @$case;
    my $file = "$dir/started" . now();
    my $owner = start_locker(['-k', $key, '-t', 3, '--', 'sleep', '300']);
    wait_until(sub { keys_left($key) == 1 }, 10, 'a holder');
    my $late = start_locker(['-v', '-k', $key, '-t', 10, '--', 'touch', $file]);
    wait_until(sub { slurp($late->{err}) =~ /WAITING/ }, 10, 'a waiter');
    my ($supervisor, $keeper) = family_of($late);
    # One that is only stopped is continued with each order.
    my $tracer = start(["$ENV{BUILD_DIR}/t/unruly", 'hold', $keeper]);
    if (!wait_until(sub { slurp($tracer->{out}) =~ /held/ || !alive($tracer->{pid}) }, 5) || slurp($tracer->{out}) !~ /held/) {
        SKIP: { skip 'no process can be held up as a debugger does (ptrace)', 2 }
        kill 'KILL', map { $_->{pid} } $owner, $late;
        next;
    }
    kill 'KILL', $owner->{pid};
    finish($owner);
    wait_until(sub { slurp($late->{err}) =~ /STARTING/ }, 10, 'the order to start');
    $act->($late);
    wait_until(sub { 0 }, 0.3);
    kill 'KILL', $tracer->{pid};
    finish($tracer);
    is finish($late, 15), $code, "a start that comes too late, since $name: $code";
    ok !wait_until(sub { -e $file }, 0.3), 'is none';
    wait_until(sub { !keys_left($key) }, 15, 'the lock to be free');
}

{
    my $owner = hold();
    my $waiter = start_locker(['-k', $key, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    my ($supervisor) = children_of($waiter->{pid});
    kill 'KILL', children_of($supervisor);
    is finish($waiter), 137, 'keeper killed while waiting: 137';
    is scalar(keys_left($key)), 1, 'its place in the queue is gone';
    kill 'KILL', $owner->{keeper};
    finish($owner);
}

# A supervisor whose loop fails, whatever the reason, exits with a code like any other. It is not believed.
SKIP: {
    skip 'a library in front of all others: not with sanitizers', 4 if ($ENV{SANITIZERS} // '') eq 'yes';
    skip 'a library in front of all others: not with the static program', 4 if defined $ENV{STATIC};
    my $go = "$dir/fail-now";
    my $source = spew("$dir/fail.c", <<"C");
#include <unistd.h>
struct event_base;
int event_base_loop(struct event_base *base, int flags);
int event_base_dispatch(struct event_base *base)
{
	while (access("$go", F_OK) == -1)
		if (event_base_loop(base, 1) != 0)
			break;
	return -1;
}
C
    is run([$ENV{CC} // 'cc', '-shared', '-fPIC', '-o', "$dir/fail.so", $source, '-levent_core'])->{code}, 0, 'a loop that can fail' or skip 'no compiler', 3;
    my $log = "$dir/failing";
    my $owner = start_locker(['-k', $key, '-t', 4, '--', 'sh', '-c', "unset LD_PRELOAD; (trap '' TERM; echo on > $log; exec sleep 300) & echo \$! > $log.pid; wait"], env => { LD_PRELOAD => "$dir/fail.so" });
    wait_until(sub { -s $log && -s "$log.pid" }, 10, 'the command to run');
    spew($go, '');
    is finish($owner), 2, 'the supervisor ends without having done its work: 2';
    like $owner->{stderr}, qr/lock $key lost: the supervisor ended before its work was done; killed everything/, 'said';
    chomp(my $pid = slurp("$log.pid"));
    ok !alive($pid), 'nothing lives on';
    # Whoever releases for the supervisor has the loop that fails, too.
    free_within(10, 'and the lease ends');
}

# --- what the keeper is not to change, and what may not outrun it ---

{
    # perl's getpriority() and /proc/self/stat: nice, policy.
    my $ask = 'open F, "/proc/self/stat"; ($_) = <F> =~ /.*\) (.*)/; @f = split; print "$f[16] $f[38]"';
    my @plain = ('nice', '-n', '5', 'perl', '-e', $ask);
    is run([$plain[0], @plain[1, 2], $locker, '-e', etcd_endpoint(), '-k', $key, '--', @plain[3 .. 5]])->{stdout}, run(\@plain)->{stdout}, 'priority and scheduling policy are as without us';
}

# What starts $locker without a cgroup v2 to put the command into; and where a list is given, as another user.
sub without_cgroup {
    my (@as) = @_;
    my $hide = 'for m in $(awk "/ - cgroup2 /{print \$5}" /proc/self/mountinfo); do umount "$m"; done; exec "$@"';
    return ('unshare', '-m', 'sh', '-c', $hide, 'sh', @as, $locker, '-e', etcd_endpoint());
}

SKIP: {
    skip 'not root: no mount namespace to be had', 5 if $> != 0 || system('unshare -m true 2>/dev/null') != 0;
    my $unruly = "$ENV{BUILD_DIR}/t/unruly";
    for my $round (1 .. 2) {
        my $log = "$dir/rabbits$round";
        # The command itself ends at once; what it leaves has this grace. (Not longer: beside other tests it takes the machine.)
        my $owner = start([without_cgroup(), '-k', $key, '-t', 4, '-r', 1, '-g', '200ms', '--', $unruly, 'rabbits', 24, 20, $log]);
        is finish($owner, 15), 0, "24 lines of processes that fork and exit all the time, round $round: ended";
        cmp_ok $owner->{seconds}, '<', 4, 'before the lease could end';
        my $last = slurp($log);
        ok !wait_until(sub { slurp($log) ne $last }, 0.3), 'none lives on';
    }
}

SKIP: {
    my $trial = 'mount -t proc -o hidepid=2 proc /proc && setpriv --reuid=65534 --regid=65534 --clear-groups test ! -d /proc/1';
    skip 'no mount namespace with a /proc that hides others (hidepid=2) to be had', 4 if $> != 0 || system('unshare', '-m', 'sh', '-c', "$trial 2>/dev/null") != 0;
    chmod 0777, $dir;
    # Where we were built may be a place that nobody cannot reach.
    run(['cp', "$ENV{BUILD_DIR}/t/unruly", "$dir/unruly"]);
    my $log = "$dir/hidden";
    my $owner = start(['unshare', '-m', 'sh', '-c', 'mount -t proc -o hidepid=2 proc /proc; exec "$@"', 'sh', 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
        $locker, '-e', etcd_endpoint(), '-k', $key, '-g', '100ms', '--', "$dir/unruly", 'hidden', $log]);
    wait_until(sub { -s $log }, 10, 'the command to run');
    chomp(my $pid = slurp($log));
    ok alive($pid), 'a process that /proc hides from us';
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'is found all the same';
    ok !alive($pid), 'and killed';
    is scalar(keys_left($key)), 0, 'the lock is free';
}

done_testing;
