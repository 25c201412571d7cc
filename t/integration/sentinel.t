# The dead man's switch: whatever dies or is stopped, the command does not outlive the lock.
use strict;
use warnings;
use Etcdlocker::Test;
use Fcntl;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

etcd_need();
etcd_start();
my $key = '/sentinel';

# A command with a child in its group, one in a session of its own, and a daemon of two forks. Each writes its pid.
my $tree = spew("$dir/tree.sh", <<'SH');
trap '' TERM HUP INT
cd "$1"
sh -c 'echo $$ >> pids; exec sleep 300' &
setsid sh -c 'echo $$ >> pids; exec sleep 300' &
(setsid sh -c '(echo $$ >> pids; exec sleep 300) & exit' &)
echo $$ >> pids
while :; do sleep 0.05; done
SH
my $count = 0;

sub hold {
    my (@arguments) = @_;
    my $place = "$dir/" . ++$count;
    mkdir $place or die;
    my $owner = start_locker(['-k', $key, @arguments, '--', 'sh', $tree, $place]);
    ok wait_until(sub { (() = slurp("$place/pids") =~ /\n/g) == 4 }, 10), 'the tree stands';
    my ($supervisor) = children_of($owner->{pid});
    @$owner{qw(supervisor pids)} = ($supervisor, [split /\n/, slurp("$place/pids")]);
    return $owner;
}

sub none_alive {
    my ($owner, $name) = @_;
    is_deeply [grep { alive($_) } @{ $owner->{pids} }], [], $name;
}

sub free_at_once {
    my ($name, $limit) = @_;
    my $next = run_locker(['-k', $key, '--', 'true']);
    is $next->{code}, 0, "$name: the next one gets the lock";
    cmp_ok $next->{seconds}, '<', $limit // 2, 'without waiting for the lease to end';
    is_deeply [keys_left($key)], [], 'no key is left';
    is_deeply [leases_left()], [], 'no lease is left';
}

{
    my $owner = hold();
    kill 'KILL', $owner->{supervisor};
    is finish($owner), 2, 'supervisor killed: 2';
    like $owner->{stderr}, qr/supervisor was killed by signal 9; killed everything/, 'and said';
    none_alive($owner, 'nothing of the tree is left');
    free_at_once('supervisor killed');
}

{
    my $owner = hold('-t', 3);
    my $since = now();
    kill 'STOP', $owner->{supervisor};
    is finish($owner), 2, 'supervisor stopped: 2';
    # Counted from the last renewal, which was before.
    cmp_ok now() - $since, '<', 3.5, 'before the lease could end';
    like $owner->{stderr}, qr/did not move for as long as the lease lasts/, 'and said';
    none_alive($owner, 'nothing of the tree is left');
    free_at_once('supervisor stopped');
}

{
    my $owner = hold();
    kill 'KILL', $owner->{pid};
    finish($owner);
    ok wait_until(sub { !grep { alive($_) } @{ $owner->{pids} }, $owner->{supervisor} }, 10), 'main process killed: the tree and the supervisor are gone';
    free_at_once('main process killed');
}

{
    my $owner = hold();
    my $since = now();
    kill 'STOP', $owner->{pid};
    sleep 0.2;
    ok alive($owner->{supervisor}), 'main process stopped: the supervisor goes on';
    kill 'CONT', $owner->{pid};
    kill 'TERM', $owner->{pid};
    wait_until(sub { !alive($owner->{pids}[-1]) }, 0.1);
    kill 'TERM', $owner->{pid};
    is finish($owner, 15), 143, 'and what it got meanwhile arrives';
    none_alive($owner, 'nothing of the tree is left');
}

{
    my $owner = hold('-t', 3);
    my $since = now();
    kill 'STOP', $owner->{pid}, $owner->{supervisor};
    my $command = (grep { slurp("/proc/$_/cmdline") =~ /tree\.sh/ } @{ $owner->{pids} })[0];
    ok wait_until(sub { !alive($command) }, 10), 'both stopped: the command dies all the same';
    cmp_ok now() - $since, '<', 3.5, 'in time';
    kill 'CONT', $owner->{pid};
    is finish($owner), 2, 'and when the main process goes on, 2';
    none_alive($owner, 'nothing of the tree is left');
}

{
    my $owner = hold();
    my $waiter = start_locker(['-k', $key, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    kill 'KILL', children_of($waiter->{pid});
    is finish($waiter), 1, 'supervisor killed while waiting: 1';
    is scalar(keys_left($key)), 1, 'its place in the queue is gone';
    my $next = start_locker(['-k', $key, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next to queue');
    my $since = now();
    kill 'KILL', $owner->{supervisor};
    is finish($next), 0, 'supervisor killed while another waits: that one runs';
    cmp_ok now() - $since, '<', 1, 'within a second';
    finish($owner);
}

{
    # exec'ed by a shell that has a child: that child is not ours to kill, nor to wait for.
    my $run = start(['sh', '-c', "sleep 60 & echo \$! > $dir/elder; exec \"\$@\"", 'sh', $locker, '-e', etcd_endpoint(), '-k', $key, '--', 'true']);
    is finish($run), 0, 'started with a child already: it does not hold us up';
    my ($elder) = slurp("$dir/elder") =~ /(\d+)/;
    ok alive($elder), 'and it lives on';
    kill 'KILL', $elder;
}

{
    # What an elder starts later is its own, too.
    my $run = start(['sh', '-c', "(while :; do sleep 0.05; done) & echo \$! > $dir/elder; exec \"\$@\"", 'sh', $locker, '-e', etcd_endpoint(), '-k', $key, '--', 'sleep', '300']);
    wait_until(sub { keys_left($key) == 1 }, 10, 'the lock to be held');
    my ($elder) = slurp("$dir/elder") =~ /(\d+)/;
    my ($supervisor) = grep { $_ != $elder } children_of($run->{pid});
    kill 'KILL', $supervisor;
    is finish($run), 2, 'supervisor killed beside a busy elder: 2';
    ok alive($elder), 'and the elder lives on';
    kill 'KILL', $elder;
}

SKIP: {
    skip 'not root: no mount namespace to be had', 2 if $> != 0 || system('unshare -m true 2>/dev/null') != 0;
    skip 'sanitizers need /proc themselves: shown by the build without them', 2 if ($ENV{SANITIZERS} // '') eq 'yes';
    # An empty /proc tells nothing about descendants.
    my $log = "$dir/noproc";
    my $run = start(['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc; exec "$@"', 'sh', $locker, '-e', etcd_endpoint(), '-k', $key, '--',
        'sh', '-c', "(trap '' TERM; while :; do echo >> $log; sleep 0.02; done) & exec sleep 300"]);
    wait_until(sub { -s $log }, 10, 'the command to run');
    kill 'KILL', children_of($run->{pid});
    is finish($run), 2, 'without /proc: supervisor killed: 2';
    my $size = -s $log;
    select undef, undef, undef, 0.3;
    is -s $log, $size, 'and nothing of the tree is left';
}

{
    # Nobody reads our stderr, and it is full.
    pipe my $read, my $write or die;
    fcntl $write, F_SETFL, O_NONBLOCK or die;
    1 while syswrite $write, 'x' x 4096;
    fcntl $write, F_SETFL, 0 or die;
    my $owner = start_locker(['-v', '-k', $key, '--', 'sleep', '300'], before => sub { POSIX::dup2(fileno $write, 2) });
    wait_until(sub { keys_left($key) == 1 }, 10, 'the lock to be held');
    kill 'KILL', children_of($owner->{pid});
    is finish($owner), 2, 'with a stderr that blocks: supervisor killed: 2';
    free_at_once('stderr blocked');
}

{
    # As a shell without job control starts what is to be in the background.
    my $owner = start_locker(['-k', $key, '-g', '1s', '--', 'sh', '-c', "sleep 1; exit 7"], before => sub { $SIG{INT} = 'IGNORE' });
    wait_until(sub { keys_left($key) == 1 }, 10, 'the lock to be held');
    kill 'INT', $owner->{pid};
    is finish($owner), 7, 'INT, ignored since before us, ends nothing';
    # The whole group gets it, the supervisor too: it must neither be lost nor count twice.
    for my $round (1 .. 10) {
        $owner = start_locker(['-k', $key, '--', 'sh', '-c', "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"], before => sub { setpgrp 0, 0 });
        wait_until(sub { slurp($owner->{out}) =~ /ready/ }, 10, 'the command to run');
        kill 'TERM', -$owner->{pid};
        is finish($owner, 5), 143, "TERM to our whole group, round $round";
    }
}

{
    my $owner = hold('-g', '300ms');
    signal_process($owner, 'TERM');
    is finish($owner), 143, 'TERM, ignored by the whole tree: 143';
    none_alive($owner, 'nothing of the tree is left');
    free_at_once('after the grace');
}

{
    # 100 processes, each in a session of its own, told from other tests' by how long they would sleep.
    my $marker = "300.$$";
    my $owner = start_locker(['-k', $key, '--', 'sh', '-c', 'i=0; while [ $i -lt 100 ]; do setsid sleep '.$marker.' & i=$((i+1)); done; echo done; exit 9']);
    is finish($owner), 9, 'a hundred sessions left behind: swept';
    is scalar(grep { slurp($_) eq "sleep\0$marker\0" } glob '/proc/[0-9]*/cmdline'), 0, 'none is left';
    free_at_once('after the sweep');
}

done_testing;
