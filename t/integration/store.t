# What answers is not always the store that the key is in: emptied, restored, another cluster, a member that lags behind; and
# what answers late, or does not come through at all.
use strict;
use warnings;
use Etcdlocker::Proxy;
use Etcdlocker::Test;
use POSIX ();
use Test::More;

etcd_need();
my $key = '/store';

# A holder with a long lease, and its endpoint; COMMAND notes when it was last alive.
sub hold {
    my ($endpoint, @options) = @_;
    my $beat = "$dir/beat" . now();
    my $owner = start([$locker, '-v', '-e', $endpoint, '-k', $key, '-t', 30, '-i', 'first', @options, '--', 'sh', '-c', "trap '' TERM; while :; do echo >> $beat; sleep 0.02; done"]);
    wait_until(sub { -s $beat }, 20, 'the command to run') or diag slurp($owner->{err});
    # The watch is open.
    wait_until(sub { slurp($owner->{err}) =~ /HELD/ }, 10);
    return $owner;
}

sub lost_soon {
    my ($owner, $why, $what) = @_;
    my $since = now();
    is finish($owner, 20), 2, "$what: 2";
    cmp_ok now() - $since, '<', 5, 'long before the renewal that would have told';
    like $owner->{stderr}, $why, 'said why';
    return;
}

# --- emptied ---

for my $case (['below', 3, 0, qr/etcd's store is not the one that it was, at revision \d+ after \d+: restored from an older copy, or emptied/], ['above', 0, 40, qr/its key \S+ is gone/]) {
    my ($where, $before, $after, $why) = @$case;
    my $etcd = etcd_start();
    my $proxy = proxy_start($etcd->{endpoint});
    my ($port) = $proxy->{endpoint} =~ /:(\d+)/;
    etcdctl('put', 'x', $_) for 1 .. $before;
    my $owner = hold($proxy->{endpoint});
    my $waiter = start([$locker, '-e', $proxy->{endpoint}, '-k', $key, '-t', 30, '-i', 'second', '--', 'echo', 'on']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    proxy_stop($proxy);
    etcd_stop($etcd, 'KILL');
    # With the same flags, and so the same cluster id.
    my $again = etcd_start(port => $etcd->{port}, peer => $etcd->{peer});
    etcdctl('put', 'x', $_) for 1 .. $after;
    $proxy = proxy_start($again->{endpoint}, undef, port => $port);
    lost_soon($owner, $why, "etcd comes back empty, its revision $where ours");
    is finish($waiter, 40), 0, 'the waiter gets the lock in the new store';
    like $waiter->{stderr}, qr/lost the place in the queue .*, queueing again at its end/, 'and says that it has queued again';
    proxy_stop($proxy);
    etcd_stop($again);
}

# --- restored from an older copy ---

{
    my $etcd = etcd_start();
    etcdctl('put', 'x', 'old');
    my $copy = "$dir/copy.db";
    etcdctl('snapshot', 'save', $copy);
    etcdctl('put', 'x', $_) for 1 .. 5;
    my $owner = hold($etcd->{endpoint});
    # One of its endpoints is gone for good.
    my $gone = proxy_start($etcd->{endpoint});
    my $waiter = start([$locker, '-v', '-e', "$etcd->{endpoint},$gone->{endpoint}", '-k', $key, '-t', 30, '-i', 'second', '--', 'true']);
    wait_until(sub { slurp($waiter->{err}) =~ /WAITING/ }, 10, 'a waiter');
    proxy_stop($gone);
    etcd_stop($etcd, 'KILL');
    my $data = "$dir/restored";
    my $peer = "http://127.0.0.1:$etcd->{peer}";
    my $done = snapshot_restore($copy, { name => 'm', data => $data, peer => $peer }, "m=$peer", '--initial-cluster-token', 'restored');
    is $done->{code}, 0, 'a snapshot becomes a store' or diag $done->{stderr};
    my $again = etcd_start(port => $etcd->{port}, peer => $etcd->{peer}, data => $data);
    lost_soon($owner, qr/etcd's store is not the one that it was|is of cluster [0-9a-f]+, and our key is in cluster [0-9a-f]+|its key \S+ is gone/, 'etcd restored from an older copy');
    is finish($waiter, 60), 0, 'and the waiter gets the lock in the new store, though an endpoint that was of the old one is silent' or diag $waiter->{stderr};
    etcd_stop($again);
}

# --- another cluster ---

{
    my $one = etcd_start();
    # Its name makes its cluster id another one.
    my $other = etcd_start(arguments => ['--initial-cluster-token', 'another']);
    for my $round (1 .. 3) {
        my $run = run([$locker, '-e', "$one->{endpoint},$other->{endpoint}", '-k', $key, '--', 'touch', "$dir/ran"]);
        is $run->{code}, 1, "two clusters behind one -e, round $round: 1";
        like $run->{stderr}, qr{127\.0\.0\.1:\d+ and http://127\.0\.0\.1:\d+ are of two clusters \([0-9a-f]+ and [0-9a-f]+\)}, 'both are named';
    }
    ok !-e "$dir/ran", 'and nothing was run';
    # Behind one address, by a proxy that is told to go elsewhere.
    my $proxy = proxy_start($one->{endpoint});
    my $owner = hold($proxy->{endpoint});
    my ($port) = $proxy->{endpoint} =~ /:(\d+)/;
    proxy_stop($proxy);
    $proxy = proxy_start($other->{endpoint}, undef, port => $port);
    lost_soon($owner, qr/is of cluster [0-9a-f]+, and our key is in cluster [0-9a-f]+/, 'another cluster answers there');
    proxy_stop($proxy);
    etcd_stop($_) for $one, $other;
}

# --- a member that lags behind is no other store ---

{
    my @members = cluster_start();
    my $leader = cluster_leader(@members);
    my ($slow) = grep { $_ != $leader } @members;
    my $owner = start_locker(['-v', '-k', $key, '-t', 6, '-r', 1, '--renew', 'keepalive', '--', 'sh', '-c', 'sleep 8; exit 42']);
    wait_until(sub { slurp($owner->{err}) =~ /RUNNING/ }, 10, 'the command to run');
    my $waiter = start_locker(['-v', '-k', $key, '-t', 6, '-r', 1, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'two in the queue');
    # Stopped and continued, it is some hundred revisions behind for a moment, again and again.
    for my $round (1 .. 3) {
        kill 'STOP', $slow->{pid};
        my $writer = start(['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9 10; do "$@" put lag $i >/dev/null; done', 'sh', $ENV{ETCDCTL} || 'etcdctl', '--endpoints', "127.0.0.1:$leader->{port}"]);
        finish($writer);
        kill 'CONT', $slow->{pid};
        wait_until(sub { 0 }, 0.3);
    }
    is finish($owner), 42, 'a member that lags behind costs a holder nothing';
    unlike $owner->{stderr}, qr/LOST/, 'at all';
    is finish($waiter), 0, 'nor a waiter';
    unlike $waiter->{stderr}, qr/lost the place/, 'its place';
    etcd_stop($_) for @members;
}

# --- answers that come late ---

# Single answers are held up for 0.8 s, so that a look that was read before a move of the key is heard of after it. What makes
# both look is a watch that is cut and cannot go on from where it was, since that is compacted away.
{
    my $etcd = etcd_start();
    my $proxy = proxy_start($etcd->{endpoint}, undef, late => qr{^POST /v3/kv/range}, late_by => 0.8);
    my @timing = ('-t', 10, '-r', '0.7', '-g', '1s');
    my $owner = start([$locker, '-v', '-e', $proxy->{endpoint}, '-k', $key, @timing, '--', 'sh', '-c', 'sleep 11; exit 42']);
    wait_until(sub { slurp($owner->{err}) =~ /RUNNING/ }, 10, 'the command to run');
    my $waiter = start([$locker, '-v', '-e', $proxy->{endpoint}, '-k', $key, @timing, '--', 'true']);
    wait_until(sub { slurp($waiter->{err}) =~ /WAITING/ }, 10, 'a waiter');
    for my $round (1 .. 8) {
        my ($revision) = etcdctl('put', 'x', $round, '-w', 'json') =~ /"revision":(\d+)/;
        etcdctl('compact', $revision);
        proxy_cut_watches($proxy);
        wait_until(sub { 0 }, 0.9);
    }
    is finish($owner), 42, 'looks that come late cost a holder nothing' or diag $owner->{stderr};
    is finish($waiter), 0, 'nor a waiter';
    unlike $waiter->{stderr}, qr/lost the place/, 'its place';
    proxy_stop($proxy);
    etcd_stop($etcd);
}

# --- watches that do not come through ---

{
    my $etcd = etcd_start();
    # As nginx does with proxy_buffering: an answer is passed on when it is whole. A watch never is.
    my $proxy = proxy_start($etcd->{endpoint}, undef, swallow => qr{^POST /v3/watch});
    my $owner = hold($proxy->{endpoint});
    my $next = start_locker(['-k', $key, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next one to queue');
    ok wait_until(sub { slurp($owner->{err}) =~ /watches do not come through .*proxy_buffering off.*: looking every 500ms instead/ }, 15), 'said, with the likely reason';
    my ($own) = grep { /./ } split /\n/, etcdctl('get', '--prefix', '--keys-only', '--sort-by=CREATE', '--order=ASCEND', "$key/");
    my $since = now();
    etcdctl('del', $own);
    is finish($owner, 20), 2, 'its key deleted, a holder without a watch looks, and kills: 2';
    cmp_ok now() - $since, '<', 2, 'soon';
    is finish($next), 0, 'the next one has its turn';
    is scalar(() = $owner->{stderr} =~ /watches do not come through/g), 1, 'said once';

    $owner = start_locker(['-v', '-k', $key, '--', 'sleep', '300']);
    wait_until(sub { slurp($owner->{err}) =~ /RUNNING/ }, 10, 'a holder');
    $next = start([$locker, '-e', $proxy->{endpoint}, '-k', $key, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'the next one to queue');
    $since = now();
    kill 'TERM', $owner->{pid};
    finish($owner);
    is finish($next, 20), 0, 'the next in line takes over without a watch';
    cmp_ok now() - $since, '<', 5, 'soon';
    proxy_stop($proxy);
    etcd_stop($etcd);
}

done_testing;
