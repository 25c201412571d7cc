# The dead man's switch: whatever dies or is stopped, the command does not outlive the lock.
use strict;
use warnings;
use Etcdlocker::Test;
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
