# etcd's own tools see our locks and respect them, and what they do to them is noticed.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
my $etcd = etcd_start();
my $key = '/tools';
my $count = 0;

sub hold {
    my (@words) = @_;
    my $n = ++$count;
    my $owner = start_locker(['-k', $key, '-i', "holder $n", @words, '--', 'sh', '-c', "trap '' TERM; echo \$\$ > $dir/running.new; mv $dir/running.new $dir/running$n; while [ ! -e $dir/go$n ]; do sleep 0.02; done; exit 7"]);
    ok wait_until(sub { -e "$dir/running$n" }, 10), "holder $n runs";
    $owner->{go} = "$dir/go$n";
    chomp($owner->{command} = slurp("$dir/running$n"));
    ($owner->{lease}) = map { m{/([0-9a-f]+)$} } keys_left($key);
    return $owner;
}

sub let_go {
    my ($owner, $name) = @_;
    spew($owner->{go}, '');
    is finish($owner), 7, $name;
    return;
}

{
    my $owner = hold();
    like etcdctl('lease', 'list'), qr/^0*$owner->{lease}$/m, 'lease list shows our lease';
    my $listener = start([etcdctl_cmd('elect', '-l', $key)]);
    ok wait_until(sub { slurp($listener->{out}) =~ /^holder $count$/m }, 10), 'elect -l shows who leads';
    kill 'INT', $listener->{pid};
    finish($listener);
    my $lock = start([etcdctl_cmd('lock', $key, '--', 'sh', '-c', "echo > $dir/etcdctl")]);
    ok wait_until(sub { keys_left($key) == 2 }, 10), 'etcdctl lock queues';
    ok !-e "$dir/etcdctl", 'behind us';
    let_go($owner, 'we end');
    finish($lock);
    ok -e "$dir/etcdctl", 'then it runs';
}

{
    my $owner = hold('-t', 60);
    etcdctl('lease', 'revoke', $owner->{lease});
    is finish($owner), 2, 'lease revoke: 2';
    like $owner->{stderr}, qr/its key \S+ is gone/, 'and why';
}

{
    # All contenders lose their places; who waits queues again.
    my $owner = hold('-t', 60);
    my $waiter = start_locker(['-k', $key, '-t', 60, '--lock-delay', '100ms', '--', 'true']);
    ok wait_until(sub { keys_left($key) == 2 }, 10), 'one waits';
    etcdctl('del', '--prefix', "$key/");
    is finish($owner), 2, 'del --prefix: the holder ends with 2';
    is finish($waiter), 0, 'and who waited queues again, and runs';
}

{
    # History goes, the lock stays: the watches of both begin anew where it ends.
    my $owner = hold('-t', 5);
    my $waiter = start_locker(['-v', '-k', $key, '-t', 5, '--', 'true']);
    ok wait_until(sub { keys_left($key) == 2 }, 10), 'one waits';
    my $revision;
    for my $round (1 .. 3) {
        etcdctl('put', '/noise', $_) for 1 .. 5;
        ($revision) = etcdctl('get', '/noise', '-w', 'json') =~ /"revision":(\d+)/;
        etcdctl('compact', $revision);
    }
    my $remaining = sub { (etcdctl('get', '--prefix', "$key/", '-w', 'json') =~ /"mod_revision":(\d+)/)[0] };
    my $before = $remaining->();
    ok wait_until(sub { $remaining->() > $before }, 10), 'compact: renewed as before';
    let_go($owner, 'nothing is lost');
    is finish($waiter), 0, 'and the next one gets it';
}

# A snapshot is put in the place of the data, as after a disaster.
sub restore {
    my ($snapshot) = @_;
    my $data = "$dir/restored" . ++$count;
    etcd_stop($etcd, 'KILL');
    my $peer = "http://127.0.0.1:$etcd->{peer}";
    my $done = snapshot_restore($snapshot, { name => 'm', data => $data, peer => $peer }, "m=$peer");
    is $done->{code}, 0, 'restored' or diag $done->{stderr};
    $etcd = etcd_start(port => $etcd->{port}, peer => $etcd->{peer}, data => $data);
    return;
}

{
    my $before = "$dir/before";
    etcdctl('snapshot', 'save', $before);
    my $owner = hold('-t', 6);
    restore($before);
    is finish($owner, 20), 2, 'a snapshot from before the lock: lost, 2';
    my $next = run_locker(['-k', $key, '--', 'true'], seconds => 20);
    is $next->{code}, 0, 'and free';
}

{
    my $owner = hold('-t', 10);
    my $during = "$dir/during";
    etcdctl('snapshot', 'save', $during);
    my $next = start_locker(['-k', $key, '-t', 10, '-v', '--', 'sh', '-c', "kill -0 $owner->{command} 2> /dev/null && exit 9; exit 0"]);
    wait_until(sub { keys_left($key) == 2 }, 10, 'one to wait');
    restore($during);
    # Which of the two etcd still knows depends on what was renewed since: that only one runs does not.
    ok wait_until(sub { !alive($owner->{pid}) || keys_left($key) > 0 }, 20), 'a snapshot with the lock in it';
    spew($owner->{go}, '') if alive($owner->{pid});
    my $code = finish($owner, 20);
    ok $code == 2 || $code == 7, 'the holder ends, or was ended';
    is finish($next, 30), 0, 'before the next one runs';
}

done_testing;
