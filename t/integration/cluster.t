# Riding out: of several endpoints one that is dead, silent, refusing, slow or restarting costs a try, not the lock.
use strict;
use warnings;
use Etcdlocker::FakeServer;
use Etcdlocker::Test;
use Test::More;
use Time::HiRes qw(sleep);

etcd_need();
my @members = cluster_start();
my $key = '/cluster';
my $count = 0;

sub hold {
    my ($ttl, @arguments) = @_;
    my $file = "$dir/run" . ++$count;
    my $owner = start_locker(['-v', '-k', $key, '-t', $ttl, @arguments, '--', 'sh', '-c', "echo on > $file; while [ -e $file ]; do sleep 0.05; done; exit 42"]);
    $owner->{file} = $file;
    ok wait_until(sub { -e $file }, 20), "a holder with a TTL of ${ttl}s runs";
    return $owner;
}

# It has got through SECONDS more, and ends as it likes.
sub survives {
    my ($owner, $seconds, $name) = @_;
    wait_until(sub { !alive($owner->{pid}) }, $seconds);
    ok alive($owner->{pid}), "$name: it still runs";
    unlink $owner->{file};
    is finish($owner), 42, "$name: and ends as it likes" or diag $owner->{stderr};
    return;
}

sub settled { return wait_until(sub { keys_left($key) == 0 && leases_left() == 0 }, 20, 'nothing to be left') }

{
    # The leader dies at any moment of the renewal period. An election takes 1 s, at times 2.7 s, and on a loaded machine as
    # much again: a lease of 10 s has room for that in the first half of the period, one of 16 s in the second half, too.
    for my $round (1 .. 4) {
        my $owner = hold($round <= 2 ? 10 : 16);
        sleep $round <= 2 ? 0.3 * $round : $round;
        my $leader = cluster_leader(@members);
        kill 'KILL', $leader->{pid};
        finish($leader);
        survives($owner, $round <= 2 ? 11 : 17, "the leader is killed ($round)");
        member_start($leader);
        cluster_leader(@members);
    }
    ok settled(), 'nothing is left';
}

{
    my $owner = hold(16);
    my $leader = cluster_leader(@members);
    kill 'STOP', $leader->{pid};
    survives($owner, 17, 'the leader is frozen');
    kill 'CONT', $leader->{pid};
    cluster_leader(@members);
    ok settled(), 'nothing is left';
}

{
    my $owner = hold(30, '-r', 2);
    kill 'STOP', $_->{pid} for @members[0, 1];
    sleep 6;
    kill 'CONT', $_->{pid} for @members[0, 1];
    survives($owner, 6, 'no quorum for less than the lease');
    ok settled(), 'nothing is left';
}

{
    # One member after the other is restarted, as for an upgrade.
    my $owner = hold(5);
    my $waiter = start_locker(['-k', $key, '-t', 5, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    for my $member (@members) {
        kill 'TERM', $member->{pid};
        finish($member);
        member_start($member);
        cluster_leader(@members);
        sleep 1;
    }
    survives($owner, 3, 'every member restarts');
    is finish($waiter, 30), 0, 'and the waiter, whose watches broke, runs';
    cmp_ok $waiter->{seconds}, '<', 40, 'in time';
    ok settled(), 'nothing is left';
}

{
    my $real = etcd_endpoint();
    # Leases that are long against the elections and the stalls of a loaded machine; so all at the same time.
    my @pairs;
    for my $bad (
        ['dead' => '127.0.0.1:' . free_port()],
        ['silent' => fake_server(sub { return undef })],
        ['half-open' => fake_server(sub { return \"HTTP/1.1 200 OK\r\n" })],
        ['talking nonsense' => fake_server(sub { return "nonsense\r\n\r\n" })],
        ['without a leader' => fake_server(sub { json('{"message":"etcdserver: no leader","code":14}', '503 x') })],
    ) {
        my ($name, $endpoint) = @$bad;
        my @to = ($locker, '-e', "$endpoint,127.0.0.1:$members[0]{port}");
        my $own = "$key-bad" . ++$count;
        push @pairs, {
            name => $name,
            owner => start([@to, '-k', $own, '-t', 8, '--', 'sh', '-c', 'sleep 17; exit 42']),
            tight => start([@to, '-k', "$own-tight", '-t', 10, '-r', 5, '-g', '2.9', '--', 'sh', '-c', 'sleep 17; exit 43']),
        };
    }
    for my $pair (@pairs) {
        is finish($pair->{owner}, 30), 42, "beside one that is $pair->{name}: two leases long, nothing is lost" or diag $pair->{owner}{stderr};
        is finish($pair->{tight}, 30), 43, 'nor with a tight schedule' or diag $pair->{tight}{stderr};
    }
    ok settled(), 'nothing is left';
}

{
    # The watch is behind a compaction: a deletion is seen all the same.
    my $owner = hold(5);
    my $waiter = start_locker(['-k', $key, '-t', 5, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    for (1 .. 20) { etcdctl('put', '/other', $_) }
    my ($revision) = etcdctl('get', '/other', '-w', 'json') =~ /"revision":(\d+)/;
    etcdctl('compact', $revision);
    unlink $owner->{file};
    is finish($owner), 42, 'compaction does not disturb the holder';
    is finish($waiter), 0, 'nor the waiter';
}

done_testing;
