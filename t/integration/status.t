# --status: who holds the lock and who waits for it, for people and for programs, with both APIs.
use strict;
use warnings;
use Etcdlocker::Terminal;
use Etcdlocker::Test;
use JSON::PP;
use MIME::Base64;
use Test::More;

etcd_need();
my $v2 = etcd_has_v2();
my $etcd = etcd_start(arguments => $v2 ? ['--enable-v2'] : []);
my $key = '/status';

sub status { my (@words) = @_; return run_locker(['-k', $key, @words, '--status']) }

{
    my $free = status();
    is $free->{code}, 1, 'a free lock: 1';
    is $free->{stdout}, "/status is free\n", 'and says so';
    is status('--mine')->{code}, 1, '--mine: not ours, either';
    my $json = status('--json');
    is_deeply decode_json($json->{stdout}), { lock => $key, held => JSON::PP::false, holder => undef, waiting => [] }, 'in JSON, too';
}

{
    # Somebody's data where a contender's key would be.
    my $own = "$key-data";
    etcdctl('put', "$own/1", 'paid');
    my $seen = run_locker(['-k', $own, '--status']);
    is $seen->{code}, 0, 'a key without a lease is in the way';
    like $seen->{stdout}, qr{^  holder  paid  since revision \d+  no lease \*\n\* No lock's client has made $own/1, and it never goes by itself.*: etcdctl del $own/1\n\z}m, '--status says so, and what to do';
    is decode_json(run_locker(['-k', $own, '--status', '--json'])->{stdout})->{holder}{no_lease}, JSON::PP::true, 'in JSON, too';
    my $tried = run_locker(['-k', $own, '--try', '--', 'true']);
    is $tried->{code}, 1, 'the lock cannot be had';
    like $tried->{stderr}, qr{in the way is $own/1, which has no lease.*etcdctl del $own/1}, 'which is said, too';

    # Two keys that one transaction has put.
    my ($lease) = etcdctl('lease', 'grant', 60) =~ /lease (\w+)/;
    my $both = "$key-both";
    etcdctl('txn', { stdin => spew("$dir/txn", "\nput --lease=$lease $both/a2 two\nput --lease=$lease $both/a1 one\n\n\n") });
    like run_locker(['-k', $both, '--status'])->{stdout}, qr{^  holder  one .*\n  1       two }m, 'of one create revision: in the order of their names';
    is run_locker(['-k', $both, '--try', '-E', 75, '--', 'true'])->{code}, 75, 'both are ahead of us';

    # Ids of bytes.
    my $bytes = "$key-bytes";
    my $holder = start_locker(['-k', $bytes, '-i', "caf\xe9 \xe2\x80\xaeb", '--', 'sleep', 100]);
    wait_until(sub { keys_left($bytes) == 1 }, 10, 'a holder');
    like run_locker(['-k', $bytes, '--status'])->{stdout}, qr/^  holder  caf\? \?b  since/m, 'what is no UTF-8, and what turns its direction, is not shown';
    my $json = run_locker(['-k', $bytes, '--status', '--json']);
    is decode_json($json->{stdout})->{holder}{id}, 'caf? ?b', 'in JSON what can be shown';
    is decode_base64(decode_json($json->{stdout})->{holder}{id_base64}), "caf\xe9 \xe2\x80\xaeb", 'and beside it the bytes';
    $json = run_locker(['-k', "$key\xe9", '--status', '--json']);
    is decode_base64(decode_json($json->{stdout})->{lock_base64}), "$key\xe9", 'the same of the key';
    kill 'TERM', $holder->{pid};
    finish($holder);
}

{
    # A queue of three tools.
    my $holder = start_locker(['-k', $key, '-i', "the \e[31mfirst", '-t', 60, '--', 'sleep', 100]);
    wait_until(sub { keys_left($key) == 1 }, 10, 'a holder');
    my $watch = start([$locker, '-e', etcd_endpoint(), '-k', $key, '--status', '--watch', '--json']);
    wait_until(sub { -s $watch->{out} }, 10, 'it to be shown');
    my $etcdctl = start([etcdctl_cmd('lock', $key)]);
    ok wait_until(sub { keys_left($key) == 2 }, 10), 'etcdctl waits';
    my $last = start_locker(['-k', $key, '-i', 'last', '--', 'true']);
    ok wait_until(sub { keys_left($key) == 3 }, 10), 'and another one';

    my $held = status();
    is $held->{code}, 0, 'a held lock: 0';
    like $held->{stdout}, qr{^/status is held\n  holder  the \?\[31mfirst  since revision \d+  5\ds left\n  1       \(no id\) +  since revision \d+\n  2       last +  since revision \d+\n\z}, 'who holds it, who waits, in their order, aligned';
    is status('--mine', '-i', "the \e[31mfirst")->{code}, 0, '--mine: held by our id';
    is status('--mine', '-i', 'last')->{code}, 1, 'not by it';
    my $json = decode_json(status('--json')->{stdout});
    is $json->{holder}{id}, "the \e[31mfirst", 'in JSON, the id as it is';
    like $json->{holder}{key}, qr{^/status/[0-9a-f]+$}, 'and the key';
    cmp_ok $json->{holder}{ttl_left}, '>', 50, 'and what is left of the lease';
    is_deeply [map { $_->{id} } @{ $json->{waiting} }], ['', 'last'], 'and who waits';
    cmp_ok $json->{waiting}[0]{revision}, '<', $json->{waiting}[1]{revision}, 'with growing revisions';

    my $shown = sub { return map { decode_json($_) } grep { length } split /\n/, slurp($watch->{out}) };
    ok wait_until(sub { my $now = ($shown->())[-1]; @{ $now->{waiting} } == 2 }, 10), '--watch shows the queue growing';
    cmp_ok scalar(my @all = $shown->()), '<=', 3, 'a line for each change';
    kill 'TERM', $holder->{pid};
    finish($holder);
    ok wait_until(sub { my $now = ($shown->())[-1]; $now->{held} && $now->{holder}{id} eq '' }, 10), 'and the hand-over';
    kill 'INT', $etcdctl->{pid};
    finish($etcdctl);
    finish($last);
    ok wait_until(sub { !($shown->())[-1]{held} }, 10), 'and the end';
    kill 'INT', $watch->{pid};
    is finish($watch), 130, 'until it is ended';
}

{
    # On a terminal: in place.
    my $holder = start_locker(['-k', $key, '-i', 'first', '--', 'sleep', 100]);
    wait_until(sub { keys_left($key) == 1 }, 10, 'a holder');
    my $terminal = terminal_start([$locker, '-e', etcd_endpoint(), '-k', $key, '--status', '--watch']);
    ok shows($terminal, qr/\e\[H\e\[J\/status is held\r\n  holder  first /), '--watch on a terminal begins at its top';
    ok shows($terminal, qr/\e\[H\e\[J\/status is held\r\n/), 'and again, for what is left has changed';
    kill 'TERM', $holder->{pid};
    finish($holder);
    ok shows($terminal, qr/\e\[H\e\[J\/status is free\r\n/), 'until it is free';
    kill 'STOP', $etcd->{pid};
    ok shows($terminal, qr/cannot tell who holds \/status: no answer from etcd for 5s/), 'an etcd that is silent is said';
    kill 'CONT', $etcd->{pid};
    ok shows($terminal, qr/\e\[H\e\[J\/status is free\r\n/), 'and it goes on';
    type($terminal, "\cC");
    is finish($terminal->{process}), 130, 'until Ctrl-C';
    leave($terminal);
}

SKIP: {
    skip 'this etcd has no v2 API', 1 if !$v2;
    my $free = status('--api', 'v2');
    is "$free->{code} $free->{stdout}", "1 /status is free\n", 'v2: free';
    my $holder = start_locker(['--api', 'v2', '-k', $key, '-i', 'me', '--', 'sleep', 100]);
    ok wait_until(sub { status('--api', 'v2')->{code} == 0 }, 10), 'held';
    like status('--api', 'v2')->{stdout}, qr{^/status is held\n  holder  me  since revision \d+  [56]\ds left\n\z}, 'by whom, and for how long';
    kill 'TERM', $holder->{pid};
    finish($holder);
}

etcd_stop($etcd);
my $dead = run_locker(['-k', $key, '--connect-timeout', '300ms', '--status']);
is $dead->{code}, 2, 'etcd out of reach: 2';
like $dead->{stderr}, qr{^etcdlocker: cannot tell who holds /status: no answer from etcd for 300ms: http://}, 'and says so';
for my $wrong (['--status', '--', 'true'], ['--json', '--', 'true'], ['--watch', '--', 'true']) {
    is run_locker(['-k', $key, @$wrong])->{code}, 64, "@$wrong: 64";
}

done_testing;
