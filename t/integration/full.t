# An etcd that is out of space refuses what needs some, and still deletes: a lock is given back, and none is given.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
etcd_start(arguments => ['--quota-backend-bytes', 4 << 20]);
my $key = '/full';

my $owner = start_locker(['-k', $key, '-t', 5, '--', 'sh', '-c', "echo > $dir/running; while [ -e $dir/running ]; do sleep 0.05; done; exit 7"]);
wait_until(sub { -e "$dir/running" }, 10, 'the command to run');
my $waiter = start_locker(['-k', $key, '-t', 5, '--', 'true']);
ok wait_until(sub { keys_left($key) == 2 }, 10), 'a holder and a waiter';

my $block = spew("$dir/block", 'x' x (1 << 20));
ok wait_until(sub { system("ETCDCTL_API=3 @{[etcdctl_cmd('put', '/filler')]} < $block > $dir/put.out 2>&1") != 0 }, 30), 'etcd is full';
like etcdctl('alarm', 'list'), qr/NOSPACE/, 'and says so';

my $late = run_locker(['-k', $key, '--', 'true']);
is $late->{code}, 1, 'who asks for the lock now: 1';
like $late->{stderr}, qr/not acquired: .*space/, "in etcd's own words";

# What remains of a lease grows only when it is renewed.
my ($lease) = map { m{/([0-9a-f]+)$} } keys_left($key);
my $least = 100;
ok wait_until(sub {
    my ($left) = etcdctl('lease', 'timetolive', $lease) =~ /remaining\((\d+)s\)/ or return 0;
    $least = $left if $left < $least;
    return $left > $least;
}, 10), 'leases are renewed';
unlink "$dir/running";
is finish($owner), 7, "its command ends: the command's own code";
like $owner->{stderr}, qr/out of space: renewing by keepalives/, 'which was said';
is finish($waiter), 0, 'the waiter gets the lock';
is_deeply [keys_left($key)], [], 'no key is left';
is_deeply [leases_left()], [], 'no lease is left';

done_testing;
