# Long queues, and somebody's data in them: what we read of them stays small, and is enough.
use strict;
use warnings;
use Etcdlocker::Test;
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64;
use Test::More;

etcd_need();
etcd_start();
my $endpoint = etcd_endpoint();
my $http = HTTP::Tiny->new;

sub ask {
    my ($path, $request) = @_;
    my $answer = $http->post("http://$endpoint$path", { content => encode_json($request) });
    BAIL_OUT("$path: $answer->{content}") if !$answer->{success};
    return decode_json($answer->{content});
}

# Puts KEYS, on LEASE where that is not 0, each with its name as the value, or with VALUE.
sub put_all {
    my ($lease, $value, @keys) = @_;
    while (my @some = splice @keys, 0, 100) {
        ask('/v3/kv/txn', { success => [map { { request_put => { key => encode_base64($_, ''), value => encode_base64($value // $_, ''), lease => "$lease" } } } @some] });
    }
    return;
}

my $lease = ask('/v3/lease/grant', { TTL => '600' })->{ID};
my @queue = map { sprintf '/long/%x', 0x1000 + $_ } 1 .. 1500;
put_all($lease, undef, @queue);

my $status = run_locker(['-k', '/long', '--status']);
is $status->{code}, 0, '--status of a long queue: held';
my @lines = split /\n/, $status->{stdout};
is scalar @lines, 1501, 'all of it';
like $lines[1], qr{^  holder  /long/1001 }, 'the holder first';
like $lines[-1], qr{^  1499    /long/15dc }, 'the last one last';
my $json = decode_json(run_locker(['-k', '/long', '--status', '--json'])->{stdout});
is scalar @{ $json->{waiting} }, 1499, '--json: all of it, too';

my $run = run_locker(['-k', '/long', '--try', '--', 'true']);
is $run->{code}, 1, '--try: no';
like $run->{stderr}, qr/at least 17 are ahead of us/, 'and why';
my $waiter = start_locker(['-v', '-k', '/long', '-t', 3, '--lock-delay', '100ms', '--', 'true']);
ok wait_until(sub { slurp($waiter->{err}) =~ m{waiting for /long: at least 17 ahead of us} }, 10), 'a waiter says that there are many';
my $began = now();
ok wait_until(sub { now() > $began + 4 && keys_left('/long') == 1501 }, 10), 'and is renewed: its TTL is over, its place is kept';
# All but three go, without a word: from the middle of the queue on, so that the one ahead of us goes at once.
my @left = splice @queue, 0, 3;
ask('/v3/kv/deleterange', { key => encode_base64('/long/1004', ''), range_end => encode_base64('/long/2', '') });
ok wait_until(sub { slurp($waiter->{err}) =~ m{held by /long/1001, 3 ahead of us} }, 10), 'few are ahead: it says who holds it';
ask('/v3/lease/revoke', { ID => $lease });
is finish($waiter), 0, 'nobody is ahead: it runs';
is_deeply [keys_left('/long')], [], 'nothing is left';

# Nested names, and data of others with and without a lease, more than any page has room for.
put_all(0, undef, map { "/data/x/$_" } 1 .. 1300);
$run = run_locker(['-k', '/data', '--', 'true']);
is $run->{code}, 0, 'more foreign keys than a page has: the lock is free' or diag $run->{stderr};
my $holder = start_locker(['-k', '/data', '-i', 'us', '--', 'sh', '-c', 'echo held; exec sleep 1000']);
ok wait_until(sub { slurp($holder->{out}) =~ /held/ }, 10), 'it is taken';
put_all(0, undef, map { "/data/y/$_" } 1 .. 1300);
is run_locker(['-k', '/data', '--try', '--', 'true'])->{code}, 1, 'the holder is found behind as many';
like run_locker(['-k', '/data', '--status'])->{stdout}, qr/^  holder  us /m, '--status finds it, too';
my $next = start_locker(['-k', '/data', '--', 'true']);
ok wait_until(sub { keys_left('/data') == 2602 }, 10), 'one waits';
kill 'TERM', $holder->{pid};
is finish($holder), 143, 'the holder ends';
is finish($next), 0, 'the next one runs';

# Four of a megabyte each are more than an answer may have.
put_all(0, 'x' x 1_000_000, "/large/x/$_") for 1 .. 4;
is run_locker(['-k', '/large', '--status'])->{code}, 1, 'large data: --status says free';
$run = run_locker(['-k', '/large', '-w', '8s', '--', 'true']);
is $run->{code}, 0, 'and it is to be had' or diag $run->{stderr};

done_testing;
