# The queue: first come, first served; shared with etcdctl lock and elect.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
etcd_start();
my $key = '/queue';
my $log = "$dir/log";

# Holds the lock until FILE exists.
sub until_exists { return ('sh', '-c', "echo held >> '$_[1]'; while [ ! -e '$_[0]' ]; do sleep 0.02; done") }

{
    my $first = start_locker(['-k', $key, '-i', 'first', '--', until_exists("$dir/go1", "$dir/held1")]);
    wait_until(sub { -e "$dir/held1" }, 10, 'the first to hold it');
    my @waiting;
    for my $n (1 .. 10) {
        push @waiting, start_locker(['-v', '-k', $key, '-i', "waiter $n", '--', 'sh', '-c', "echo $n >> $log"]);
        wait_until(sub { keys_left($key) == $n + 1 }, 10, "waiter $n to queue");
    }
    ok wait_until(sub { slurp($waiting[9]{err}) =~ /waiting for $key: held by first, 10 ahead of us/ }, 10),
        'a waiter says who holds it and how many are ahead';
    is slurp($log), '', 'nobody starts while it is held';
    spew("$dir/go1", '');
    is finish($first), 0, 'the first ends';
    is finish($_), 0, 'a waiter runs' for @waiting;
    is slurp($log), join('', map { "$_\n" } 1 .. 10), 'ten waiters run in the order in which they came';
    is_deeply [keys_left($key)], [], 'no key is left';
    is_deeply [leases_left()], [], 'no lease is left';
}

{
    # They hold, we wait.
    my $theirs = start([etcdctl_cmd('lock', $key, '--', until_exists("$dir/go2", "$dir/held2"))]);
    wait_until(sub { -e "$dir/held2" }, 10, 'etcdctl to hold it');
    is run_locker(['-k', $key, '--try', 'true'])->{code}, 1, 'etcdctl holds it: --try gives 1';
    my $ours = start_locker(['-v', '-k', $key, '--', 'true']);
    ok wait_until(sub { slurp($ours->{err}) =~ /held by a client without an id, 1 ahead/ }, 10), 'we wait';
    spew("$dir/go2", '');
    is finish($theirs), 0, 'etcdctl ends';
    is finish($ours), 0, 'we run';
    unlike $ours->{stderr}, qr/lock delay/, 'without the lock delay, which etcdctl has no use for';

    # We hold, they wait.
    $ours = start_locker(['-k', $key, '-i', 'our id', '--', until_exists("$dir/go3", "$dir/held3")]);
    wait_until(sub { -e "$dir/held3" }, 10, 'us to hold it');
    $theirs = start([etcdctl_cmd('lock', $key, '--', 'sh', '-c', "echo theirs > $dir/theirs")]);
    wait_until(sub { keys_left($key) == 2 }, 10, 'etcdctl to queue');
    ok !-e "$dir/theirs", 'etcdctl waits while we hold it';
    my $elect = start([etcdctl_cmd('elect', '-l', $key)]);
    ok wait_until(sub { slurp($elect->{out}) =~ /^our id$/m }, 10), 'etcdctl elect -l shows our id';
    kill 'KILL', $elect->{pid};
    finish($elect);
    spew("$dir/go3", '');
    is finish($ours), 0, 'we end';
    is finish($theirs), 0, 'etcdctl runs';
    ok -e "$dir/theirs", 'indeed';
}

{
    # A waiter that goes does not open the way for those behind it.
    my $first = start_locker(['-k', $key, '-i', 'first', '--', until_exists("$dir/go4", "$dir/held4")]);
    wait_until(sub { -e "$dir/held4" }, 10, 'the first to hold it');
    my $second = start_locker(['-k', $key, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the second to queue');
    my $third = start_locker(['-v', '-k', $key, '--', 'sh', '-c', "echo third > $dir/third"]);
    wait_until(sub { slurp($third->{err}) =~ /2 ahead of us/ }, 10, 'the third to queue');
    kill 'TERM', $second->{pid};
    is finish($second), 143, 'the second gives up';
    ok wait_until(sub { slurp($third->{err}) =~ /held by first, 1 ahead of us/ }, 10), 'the third moves up';
    ok !-e "$dir/third", 'and waits';
    spew("$dir/go4", '');
    is finish($first), 0, 'the first ends';
    is finish($third), 0, 'the third runs';
}

done_testing;
