# The lock is lost: the command is dead in time, and we say why. And what is no loss.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;
use Time::HiRes qw(sleep);

etcd_need();
my $etcd = etcd_start();
my $key = '/loss';

# A command that notes when it starts, every 10 ms that it lives, and that it got TERM; it ends when FILE exists.
my $stamps = spew("$dir/stamps", <<'PERL');
use Time::HiRes qw(clock_gettime sleep CLOCK_MONOTONIC);
my ($log, $file, $stubborn) = @ARGV;
$SIG{TERM} = sub { note("term"); exit 0 if !$stubborn };
sub note { open my $out, '>>', $log or die; syswrite $out, sprintf "%s %.3f\n", $_[0], clock_gettime(CLOCK_MONOTONIC) }
note("start");
while (! -e $file) { note("alive"); sleep 0.01 }
note("end");
PERL
my $count = 0;

sub hold {
    my ($arguments, $stubborn) = @_;
    my $n = ++$count;
    my $owner = start_locker(['-k', $key, '-i', "holder $n", @$arguments, '--', $^X, $stamps, "$dir/log$n", "$dir/go$n", $stubborn // 0]);
    @$owner{qw(log go)} = ("$dir/log$n", "$dir/go$n");
    ok wait_until(sub { slurp($owner->{log}) =~ /alive/ }, 10), "holder $n runs";
    return $owner;
}

sub last_alive { return (slurp($_[0]{log}) =~ /^alive (\S+)$/mg)[-1] }

# The holder's key: the oldest.
sub own_key {
    return (grep { length } split /\n/, etcdctl('get', '--prefix', '--keys-only', '--sort-by=CREATE', '--order=ASCEND', "$key/"))[0];
}

{
    my $owner = hold([], 1);
    my $lost = own_key();
    my $since = now();
    etcdctl('del', $lost);
    is finish($owner), 2, 'our key is deleted: 2';
    cmp_ok now() - $since, '<', 5, 'at once, though the command ignores TERM';
    like $owner->{stderr}, qr/^etcdlocker: lock $key lost: its key \Q$lost\E is gone: [^\n]*\n\z/, 'said in one line';
    is_deeply [leases_left()], [], 'no lease is left';
}

{
    my $owner = hold([]);
    etcdctl('put', own_key(), 'mine!');
    is finish($owner), 2, 'our key is changed: 2';
    like $owner->{stderr}, qr/was changed from outside at revision \d+/, 'and said';
    is_deeply [keys_left($key)], [], 'the key, on no lease any more, is not left behind';
    is_deeply [leases_left()], [], 'nor a lease';
}

{
    my $owner = hold([]);
    etcdctl('lease', 'revoke', (leases_left())[0]);
    is finish($owner), 2, 'our lease is revoked: 2';
}

for my $round (1 .. 5) {
    my $owner = hold(['-t', 5], 1);
    my $next = start_locker(['-k', $key, '-t', 5, '--', $^X, '-MTime::HiRes=clock_gettime,CLOCK_MONOTONIC', '-e', 'printf "%.3f\n", clock_gettime(CLOCK_MONOTONIC)']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next to queue');
    my $since = now();
    etcdctl('del', own_key());
    is finish($next), 0, "round $round: the next one runs";
    my $started = $next->{stdout};
    is finish($owner), 2, 'the old one has lost';
    cmp_ok last_alive($owner), '<', $started, 'the old command was dead before the new one started';
    cmp_ok $started - $since, '>=', 0.9, 'which waited for the lock delay';
}

{
    my $owner = hold(['-t', 5]);
    my $next = start_locker(['-k', $key, '--lock-delay', '0', '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next to queue');
    my $since = now();
    etcdctl('del', own_key());
    is finish($next), 0, '--lock-delay 0 turns it off';
    cmp_ok $next->{seconds} - ($since - $next->{since}), '<', 0.9, 'indeed';
    finish($owner);
}

{
    # Nobody but the command's end may decide here: it goes on through several renewals.
    my $owner = hold(['-t', 2]);
    my $first = own_key();
    my ($lease) = leases_left();
    ok wait_until(sub { my @now = leases_left(); @now && $now[-1] ne $lease }, 10), 'a renewal moves the key to a new lease';
    is own_key(), $first, 'and the key stays';
    sleep 3;
    cmp_ok scalar(leases_left()), '<=', 2, 'old leases are revoked';
    spew($owner->{go}, '');
    is finish($owner), 0, 'nothing was lost';
    is_deeply [leases_left()], [], 'no lease is left';
}

{
    my $owner = hold(['-t', 2, '--renew', 'keepalive']);
    my @leases = leases_left();
    sleep 4;
    is_deeply [leases_left()], \@leases, '--renew keepalive stays on one lease';
    spew($owner->{go}, '');
    is finish($owner), 0, 'and keeps it';
}

{
    # The next in line dies in its lock delay: that is no release of the holder's.
    my $owner = hold(['-t', 5], 1);
    my $next = start_locker(['-k', $key, '--lock-delay', '3s', '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next to queue');
    my $third = start_locker(['-v', '-k', $key, '--lock-delay', '3s', '--', $^X, '-MTime::HiRes=clock_gettime,CLOCK_MONOTONIC', '-e', 'printf "%.3f\n", clock_gettime(CLOCK_MONOTONIC)']);
    wait_until(sub { slurp($third->{err}) =~ /2 ahead of us/ }, 10, 'the third to queue');
    my $since = now();
    etcdctl('del', own_key());
    finish($owner);
    kill 'KILL', children_of($next->{pid});
    finish($next);
    is finish($third), 0, 'the third runs';
    cmp_ok $third->{stdout} - $since, '>=', 2.9, 'after the lock delay that is due to the holder';
}

{
    # A waiter's key that somebody else has written is on no lease any more.
    my $owner = hold([]);
    my $next = start_locker(['-k', $key, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next to queue');
    my $held = own_key();
    etcdctl('put', (grep { $_ ne $held } keys_left($key))[0], 'not yours');
    wait_until(sub { slurp($next->{err}) =~ /queueing again/ }, 10, 'the waiter to queue again');
    spew($owner->{go}, '');
    is finish($owner), 0, 'the holder ends';
    is finish($next), 0, 'a waiter whose key was written by somebody else does not wait behind it for ever';
    is_deeply [keys_left($key)], [], 'and no key is left';
}

{
    # A waiter through an outage of many leases.
    my $owner = hold(['-t', 2]);
    my $next = start_locker(['-k', $key, '-t', 2, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next to queue');
    kill 'STOP', $etcd->{pid};
    is finish($owner), 2, 'the holder loses';
    sleep 6;
    ok alive($next->{pid}), 'the waiter waits on';
    kill 'CONT', $etcd->{pid};
    is finish($next), 0, 'and runs when etcd is back';
}

{
    # A waiter whose key goes queues again.
    my $owner = hold([]);
    my $next = start_locker(['-v', '-k', $key, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next to queue');
    my $held = own_key();
    etcdctl('del', grep { $_ ne $held } keys_left($key));
    ok wait_until(sub { slurp($next->{err}) =~ /queueing again/ && keys_left($key) == 2 }, 10), 'a waiter whose key is deleted queues again';
    spew($owner->{go}, '');
    is finish($owner), 0, 'the holder ends';
    is finish($next), 0, 'the waiter runs';
}

{
    my $owner = hold(['-t', 10, '-r', 2]);
    etcd_stop($etcd, 'KILL');
    $etcd = etcd_start(port => $etcd->{port}, peer => $etcd->{peer}, data => $etcd->{data});
    my $size = -s $owner->{log};
    my $term = now() + 4;
    wait_until(sub { now() > $term }, 10);
    unlike slurp($owner->{log}), qr/term/, 'etcd killed and back within half the TTL: the command notices nothing';
    spew($owner->{go}, '');
    is finish($owner), 0, 'and ends as it likes';
    is_deeply [keys_left($key)], [], 'no key is left';
}

{
    my $owner = hold(['-t', 10, '-r', 1]);
    kill 'STOP', $etcd->{pid};
    sleep 3;
    kill 'CONT', $etcd->{pid};
    sleep 2;
    unlike slurp($owner->{log}), qr/term/, 'etcd frozen for a third of the TTL: nothing happens';
    spew($owner->{go}, '');
    is finish($owner), 0, 'and the command ends as it likes';
}

{
    # The lock's life counts from its last renewal: at the latest just before etcd dies.
    my $owner = hold(['-t', 4], 1);
    my $waiter = start_locker(['-v', '-k', $key, '-t', 4, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    etcd_stop($etcd, 'KILL');
    my $died = now();
    is finish($owner), 2, 'etcd dies for good: 2';
    like $owner->{stderr}, qr/^etcdlocker: lock $key lost: the lease of 4s could not be renewed in time: http:\S+ /m, 'and said why';
    my ($term) = slurp($owner->{log}) =~ /^term (\S+)/m;
    ok $term, 'the command got its TERM first';
    cmp_ok last_alive($owner) - $died, '<', 4, 'and was dead before the lease could end, though it ignored TERM';
    cmp_ok last_alive($owner), '>', $term, 'having had its grace';
    $etcd = etcd_start(port => $etcd->{port}, peer => $etcd->{peer}, data => $etcd->{data});
    is finish($waiter, 30), 0, 'the waiter, which has waited through all this, runs';
}

done_testing;
