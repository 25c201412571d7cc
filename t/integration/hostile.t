# Bad input: on the command line and from the network. A sentence that names it, the right exit code, nothing left.
use strict;
use warnings;
use Etcdlocker::FakeServer;
use Etcdlocker::Test;
use IO::Socket::INET;
use MIME::Base64;
use Test::More;

etcd_need();
my $etcd = etcd_start();
my $real = $etcd->{endpoint};
my $key = '/hostile';

# Runs against ENDPOINT: must not run the command, exit with CODE, and say SAYS on one line.
sub refused {
    my ($name, $endpoint, $says, $arguments, $code) = @_;
    my $run = run([$locker, '-e', $endpoint, '-k', $key, '--connect-timeout', '700ms', @{ $arguments // [] }, '--', 'touch', "$dir/ran"]);
    is $run->{code}, $code // 1, "$name: the exit code";
    like $run->{stderr}, qr/\Aetcdlocker: [^\n]*$says[^\n]*\n\z/, "$name: one line says it";
    ok !-e "$dir/ran", "$name: the command did not run";
    cmp_ok $run->{seconds}, '<', 4, "$name: in time";
    my $status = run([$locker, '-e', $endpoint, '-k', $key, '--connect-timeout', '300ms', '--status']);
    # Some of them give a queue that could be.
    ok $status->{code} == 2 ? $status->{stderr} =~ /\Aetcdlocker: cannot tell who holds [^\n]+\n\z/ : $status->{code} < 2, "$name: --status tells, or says why not" or diag $status->{stderr};
    return $run;
}

# --- the command line ---

for my $case (
    [qr/no key/, '--', 'true'],
    [qr/no command/, '-k', $key],
    [qr/unknown option --nonsense/, '--nonsense', '-k', $key, 'true'],
    [qr/TTL of 10 s is too short: refresh 5s \+ grace 8s \+ margin 1\.1s \+ one try 1s/, '-k', $key, '-t', '10', '-g', '8', 'true'],
    [qr/endpoint 'a:1:2' has no valid port/, '-e', 'a:1:2', '-k', $key, 'true'],
) {
    my ($says, @arguments) = @$case;
    my $run = run([$locker, @arguments]);
    is $run->{code}, 64, "@arguments: 64";
    like $run->{stderr}, qr/\Aetcdlocker: [^\n]*$says[^\n]*\n\z/, 'said in one line';
}

# --- endpoints that are no etcd, or none that can serve us ---

refused('refusing', '127.0.0.1:' . free_port(), qr/no answer from etcd for 700ms: http:\S+ [^\n]*[Cc]onnect/);
refused('a name that does not exist', 'nonexistent.invalid:1', qr/nonexistent\.invalid/);
refused('silent', fake_server(sub { return undef }), qr{no answer from etcd for 700ms: http://127\.0\.0\.1:\d+: silence});
refused('an HTML page', fake_server(sub { json('<html>hello</html>') }), qr{no etcd v3 JSON API \(/v3\) there: HTTP status 200, "<html>hello});
refused('no /v3', fake_server(sub { json("404 page not found\n", '404 Not Found') }), qr/HTTP status 404, "404 page not found\?"; etcd 3\.4 or later has it/);
refused('not HTTP', fake_server(sub { "SSH-2.0-OpenSSH_9.2\r\n" }), qr/HTTP|weird|Unsupported/i);
refused('no answer at all', fake_server(sub { '' }), qr/Empty reply|empty/i);
refused('a redirect', fake_server(sub { "HTTP/1.1 302 Found\r\nLocation: http://$real/v3\r\nContent-Length: 0\r\n\r\n" }), qr/HTTP status 302/);
refused('truncated', fake_server(sub { "HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n{\"header\":" }), qr/transfer closed|bytes remaining|bytes missing/);
refused('a leader that is not there', fake_server(sub { json('{"message":"etcdserver: no leader","code":14}', '503 x') }), qr/no leader/);
refused('refused', fake_server(sub { json('{"message":"etcdserver: permission denied","code":7}', '403 x') }), qr/permission denied/);
refused('control characters', fake_server(sub { json('{"message":"\u001b[2Jgone\u0007","code":7}', '403 x') }), qr/\?\[2Jgone\?/);
refused('one of two is dead, the other no etcd', '127.0.0.1:' . free_port() . ',' . fake_server(sub { json('nonsense') }), qr/no etcd v3|[Cc]onnect/);

# --- an etcd that talks nonsense ---

my $header = '"header":{"revision":"7"}';

sub grant_then {
    my ($answer) = @_;
    return fake_server(sub {
        my ($path, $body) = @_;
        my ($id) = $body =~ /"ID":"(\d+)"/;
        return json("{$header,\"ID\":\"$id\",\"TTL\":\"60\"}") if $path eq '/v3/lease/grant';
        return json("{$header}") if $path eq '/v3/lease/revoke';
        return $answer->($path, $body);
    });
}

sub grants { my ($text) = @_; return fake_server(sub { $_[0] eq '/v3/lease/revoke' ? json("{$header}") : json($text) }) }

refused('another lease granted', grants("{$header,\"ID\":\"1\",\"TTL\":\"60\"}"), qr/the lease granted is not the one asked for/);
refused('a TTL that is no number', fake_server(sub { my ($id) = $_[1] =~ /"ID":"(\d+)"/; $id //= 0; json("{$header,\"ID\":\"$id\",\"TTL\":\"NaN\"}") }), qr/not an integer/);
refused('a TTL below zero', fake_server(sub { my ($id) = $_[1] =~ /"ID":"(\d+)"/; $id //= 0; json("{$header,\"ID\":\"$id\",\"TTL\":\"-5\"}") }), qr/TTL is out of range/);
refused('fields of wrong types', grants('{"header":[],"ID":{},"TTL":[]}'), qr/no etcd v3|header/);
refused('an answer without fields', grants('{"header":{}}'), qr/makes no sense|out of range/);
refused('a transaction without responses', grant_then(sub { json("{$header,\"succeeded\":true}") }), qr/has no range/);
refused('a key that is not base64', grant_then(sub { json("{$header,\"succeeded\":true,\"responses\":[{},{\"response_range\":{\"kvs\":[{\"key\":\"!!\"}]}}]}") }), qr/not base64/);
refused('deep nesting', grants('{"header":' . '[' x 100000 . ']' x 100000 . '}'), qr/no etcd v3/);
{
    # Made once: on a loaded machine each connection's own copy could take longer than a try.
    my $endless = "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n{\"a\":\"" . 'x' x 5_000_000;
    refused('an endless line', fake_server(sub { $endless }), qr/longer than 4194304 bytes/, ['--connect-timeout', '2s']);
}
{
    # It may be true, if somebody deletes it: try again, and say so.
    my $nowhere = grant_then(sub { json("{$header,\"succeeded\":true,\"responses\":[{},{\"response_range\":{}}]}") });
    my $run = run([$locker, '-e', $nowhere, '-k', $key, '-w', '2s', '--', 'true']);
    is $run->{code}, 1, 'a queue without us: not acquired';
    like $run->{stderr}, qr/queueing again at its end\n.*not in the queue after 2s\n\z/s, 'and said';
}

# --- a shorter TTL than asked for is what counts ---

{
    my $server = grant_then(sub { });
    my $lying = fake_server(sub {
        my ($path, $body) = @_;
        my ($id) = $body =~ /"ID":"(\d+)"/;
        return json("{$header,\"ID\":\"$id\",\"TTL\":\"2\"}") if $path eq '/v3/lease/grant';
        return json("{$header}") if $path eq '/v3/lease/revoke';
        if ($path eq '/v3/kv/txn' && $body =~ /"key":"([^"]+)","value":"([^"]+)","lease":"(\d+)"/) {
            return json("{$header,\"succeeded\":true,\"responses\":[{},{\"response_range\":{\"kvs\":[{\"key\":\"$1\",\"value\":\"$2\",\"lease\":\"$3\",\"create_revision\":\"7\",\"mod_revision\":\"7\"}]}}]}");
        }
        return undef; # renewals are never answered
    });
    my $run = run([$locker, '-v', '-e', $lying, '-k', $key, '-t', '60', '--', $^X, '-e', 'use Time::HiRes "time"; $SIG{TERM} = "IGNORE"; $| = 1; while (1) { printf "%.3f\n", time; select undef, undef, undef, 0.02 }'], seconds => 30);
    is $run->{code}, 2, 'a lease of 2 s instead of 60 that cannot be renewed: lost';
    my @alive = split /\n/, $run->{stdout};
    cmp_ok $alive[-1] - $alive[0], '<', 2, 'the command is dead before the granted TTL is over';
    like $run->{stderr}, qr/granted a TTL of 2s instead of 60s/, '-v says so';
}

# --- none of this has touched the real one, and we are fine with a dead endpoint beside it ---

is_deeply [keys_left($key)], [], 'no key is left';
is_deeply [leases_left()], [], 'no lease is left';
for my $beside ('127.0.0.1:' . free_port(), fake_server(sub { return undef }), fake_server(sub { json('<html>') })) {
    my $run = run([$locker, '-e', "$beside,$real", '-k', $key, '--', 'true']);
    is $run->{code}, 0, 'a bad endpoint costs a try, not the lock';
}

# --- a member that has forgotten our token, and gives no other one: it is cut off from its peers ---

{
    my $asked = "$dir/asked";
    my $member = sub {
        my ($name) = @_;
        return fake_server(sub {
            my ($path, $body) = @_;
            my $token = $path eq '/v3/auth/authenticate';
            if (-e "$dir/ill-$name") {
                return $token ? undef : json('{"error":"etcdserver: invalid auth token","message":"etcdserver: invalid auth token","code":16}', '401 x');
            }
            return json("{$header,\"token\":\"t.1\"}") if $token;
            if ($path eq '/v3/watch') {
                # Confirmed, and then silent.
                my $watches = () = $body =~ /create_request/g;
                return \join '', "HTTP/1.1 200 OK\r\n\r\n", map { "{\"result\":{$header,\"watch_id\":\"$_\",\"created\":true}}\n" } 0 .. $watches - 1;
            }
            # All members are asked who they are, at any time; only one for the lock.
            spew($asked, $name) if $path eq '/v3/kv/txn';
            my $etcd = IO::Socket::INET->new(PeerAddr => $real) or return undef;
            print $etcd "POST $path HTTP/1.0\r\nContent-Length: ", length $body, "\r\n\r\n$body";
            local $/;
            return <$etcd>;
        });
    };
    my $owner = start([$locker, '-v', '-e', $member->('a') . ',' . $member->('b'), '--user', 'al', '--password-file', spew("$dir/pw", "pw\n"), '-k', $key, '-t', 8, '-r', '2.5', '--', 'sleep', 10]);
    wait_until(sub { slurp($owner->{err}) =~ /-> RUNNING/ }, 10, 'a holder');
    my $ill = slurp($asked);
    spew("$dir/ill-$ill", '');
    is finish($owner), 0, 'it costs a try, not the lock' or diag $owner->{stderr};
    like $owner->{stderr}, qr/does not know our token any more/, 'though it was asked';
}

# --- our own surroundings are bad ---

{
    my $run = run_locker(['-k', $key, '--', 'true'], before => sub { close STDIN; close STDOUT; close STDERR; POSIX::close($_) for 0 .. 2 });
    is $run->{code}, 0, 'with 0 to 2 closed';
    # A leak checker could not open what it needs either.
    $run = run(['sh', '-c', "ulimit -n 6; exec $locker -e $real -k $key -- true"], env => { ASAN_OPTIONS => 'detect_leaks=0' });
    is $run->{code}, 1, 'with too few descriptors: not acquired';
    # gcov has its own complaints.
    like $run->{stderr}, qr/\Aetcdlocker: [^\n]+\n\z/, 'and said in one line' if ($ENV{COVERAGE} // '') ne 'yes';
    $run = run(['sh', '-c', "exec $locker -v -e $real -k $key -- true 2>/dev/full"]);
    is $run->{code}, 0, 'a full disk behind stderr changes nothing';
    $run = run(['sh', '-c', "exec $locker --help > /dev/full"]);
    isnt $run->{code}, 0, '--help that cannot be written is no success';
    like $run->{stderr}, qr/\Aetcdlocker: cannot write to stdout: No space left on device\n\z/, 'and said';
    $run = run(['sh', '-c', "exec $locker -e $real -k $key --status > /dev/full"]);
    is $run->{code}, 2, 'nor is a --status';
    like $run->{stderr}, qr/\Aetcdlocker: cannot write to stdout\n\z/, 'and said';
    $run = run_locker(['-k', $key, '--', 'sh', '-c', '(sleep 0.5; kill -CONT $$) & kill -STOP $$; wait; exit 3']);
    is $run->{code}, 3, 'a command that stops itself goes on when it is told to';
    like $run->{stderr}, qr/\Aetcdlocker: the command was stopped by signal STOP, and keeps the lock[^\n]*\n\z/, 'meanwhile that is said';
    is_deeply [leases_left()], [], 'no lease is left';
}

done_testing;
