# What stands at the endpoints in real networks: learners, names that move, gateways that crash, etcds that are slow.
use strict;
use warnings;
use Etcdlocker::FakeServer;
use Etcdlocker::Proxy;
use Etcdlocker::Test;
use Test::More;

etcd_need();
my $key = '/endpoints';

# A holder whose command runs until its file is gone.
my $count = 0;
sub hold {
    my ($endpoint, @arguments) = @_;
    my $file = "$dir/on" . ++$count;
    my $owner = start([$locker, '-v', '-e', $endpoint, '-k', $key, @arguments, '--', 'sh', '-c', "echo on > $file; while [ -e $file ]; do sleep 0.05; done; exit 42"]);
    $owner->{file} = $file;
    ok wait_until(sub { -e $file }, 30), 'a holder runs' or diag slurp($owner->{err});
    return $owner;
}

sub renewals { my ($owner) = @_; return scalar(() = slurp($owner->{err}) =~ /lock: renewed/g) }

sub renews { my ($owner, $seconds) = @_; my $before = renewals($owner); return wait_until(sub { renewals($owner) > $before }, $seconds) }

sub release { my ($owner, $name) = @_; unlink $owner->{file}; is finish($owner, 30), 42, $name or diag $owner->{stderr}; return }

# --- a member that has no vote yet ---

{
    my $voter = etcd_start();
    my ($port, $peer) = (free_port(), free_port());
    ok wait_until(sub { run([etcdctl_cmd('member', 'add', 'b', '--learner', "--peer-urls=http://127.0.0.1:$peer")])->{code} == 0 }, 30), 'a learner is added';
    my $learner = member_start({ name => 'b', port => $port, peer => $peer, data => "$dir/learner", arguments => ['--initial-cluster-state', 'existing'],
        initial => "m=http://127.0.0.1:$voter->{peer},b=http://127.0.0.1:$peer" });
    my $both = "127.0.0.1:$voter->{port},127.0.0.1:$port";
    ok wait_until(sub { etcdctl('member', 'list') =~ /, b, .*, true$/m && ask($port, '/v3/lease/grant', '{"TTL":10}') =~ /learner/ }, 30), 'which says that it is one' or diag ask($port, '/v3/lease/grant', '{"TTL":10}');
    my @wrong = grep { $_ != 0 } map { run([$locker, '-e', $both, '-k', "$key/$_", '--', 'true'])->{code} } 1 .. 8;
    is_deeply \@wrong, [], 'beside a voter it costs no start, in whatever order';
    @wrong = grep { $_ != 1 } map { run([$locker, '-e', $both, '-k', "$key/$_", '--status'])->{code} } 1 .. 4;
    is_deeply \@wrong, [], 'nor --status';
    my $owner = hold($both, '-t', 12, '-r', 1);
    my $waiter = start([$locker, '-v', '-e', $both, '-k', $key, '-t', 12, '-r', 1, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 20, 'a waiter to queue');
    kill 'STOP', $voter->{pid};
    ok wait_until(sub { slurp($owner->{err}) =~ /learner/ && slurp($waiter->{err}) =~ /learner/ }, 10), 'the voter is silent for a while: both ask the learner';
    kill 'CONT', $voter->{pid};
    ok renews($owner, 10), 'the holder holds on';
    release($owner, 'to its end');
    is finish($waiter, 30), 0, 'the waiter has waited' or diag $waiter->{stderr};
    my $alone = run([$locker, '-e', "127.0.0.1:$port", '-k', $key, '--connect-timeout', '1s', '--', 'true']);
    is $alone->{code}, 1, 'a learner alone is none to start with';
    like $alone->{stderr}, qr/learner/, 'and that is said';
    etcd_stop($_) for $learner, $voter;
}

sub ask {
    my ($port, $path, $body) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1) or return '';
    print $socket "POST $path HTTP/1.0\r\nContent-Length: ", length $body, "\r\n\r\n$body";
    return Etcdlocker::Test::answer_of($socket, 5);
}

# --- an etcd that comes back at another address, under the same name ---

SKIP: {
    skip 'no /etc/hosts that another one can stand in for', 4 if !can_stand_in('/etc/hosts');
    my $etcd = etcd_start();
    my $real = etcd_endpoint();
    my $before = proxy_start($real, undef, address => '127.0.0.2');
    my ($port) = $before->{endpoint} =~ /:(\d+)$/;
    my $hosts = spew("$dir/hosts", "127.0.0.2 moving.test\n");
    local $ENV{HOSTS} = $hosts;
    my $file = "$dir/moving";
    my $owner = start(['unshare', '-m', 'sh', '-c', 'mount --bind "$HOSTS" /etc/hosts && exec "$@"', 'sh', $locker, '-v', '-e', "moving.test:$port", '-k', $key, '-t', 30, '-r', 1, '--',
        'sh', '-c', "echo on > $file; while [ -e $file ]; do sleep 0.05; done; exit 42"]);
    $owner->{file} = $file;
    ok wait_until(sub { -e $file }, 20), 'a holder, by a name';
    ok renews($owner, 10), 'it renews';
    proxy_stop($before);
    # In place: the mount is of the file.
    spew($hosts, "127.0.0.3 moving.test\n");
    my $after = proxy_start($real, undef, address => '127.0.0.3', port => $port);
    ok renews($owner, 10), 'the name leads elsewhere: the next renewal goes there';
    release($owner, 'and it ends as it likes');
    proxy_stop($after);
    etcd_stop($etcd);
}

# --- a gateway that closes the connection where a token is not good, in place of 401 ---

{
    my $etcd = etcd_start();
    my $data = $etcd->{data};
    my $proxy = proxy_start(etcd_endpoint(), undef, shut => qr/^HTTP\/1\.1 401|user name is empty|invalid auth token/);
    my $file = spew("$dir/password", "pw\n");
    my @user = ('--user', 'root', '--password-file', $file);
    etcdctl('user', 'add', 'root:pw');
    etcdctl('role', 'add', 'root');
    etcdctl('user', 'grant-role', 'root', 'root');
    etcdctl('auth', 'enable');
    my $owner = hold($proxy->{endpoint}, @user, '-t', 30, '-r', 1);
    ok renews($owner, 10), 'with users, it renews';
    # The tokens of a restarted etcd are new.
    etcd_stop($etcd);
    $etcd = etcd_start(port => $etcd->{port}, peer => $etcd->{peer}, data => $data);
    ok renews($owner, 15), 'the connection is closed in place of an answer: another token is asked for';
    unlike slurp($owner->{err}), qr/does it want https/, 'and nobody wonders whether it wants https';
    release($owner, 'it ends as it likes');
    proxy_stop($proxy);
    etcd_stop($etcd);
    like run([$locker, '-e', fake_server(sub { '' }), '-k', $key, '--connect-timeout', '300ms', '--', 'true'])->{stderr}, qr/does it want https\?/, 'of a server that never answered one may';
}

# --- a port of gRPC alone, and proxies ---

{
    # What gRPC's server says to anybody: its settings, as HTTP/2 has them.
    my $grpc = fake_server(sub { "\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0" });
    my $run = run([$locker, '-e', $grpc, '-k', $key, '--', 'true'], seconds => 20);
    is $run->{code}, 1, 'a port that speaks gRPC alone';
    like $run->{stderr}, qr/a port of gRPC alone\? Its HTTP is at the address of etcd's --listen-client-http-urls/, 'is recognised';
    cmp_ok $run->{seconds}, '<', 10, 'at once, not when etcd would have had its time';
    like run([$locker, '-e', fake_server(sub { json("404 page not found\n", '404 Not Found') }), '-k', $key, '--', 'true'])->{stderr}, qr/not its grpc-proxy/, 'nor has a grpc-proxy what we need';
    my $etcd = etcd_start();
    my $real = etcd_endpoint();
    for my $status ('408 Request Timeout', '429 Too Many Requests', '502 Bad Gateway', '503 Service Unavailable', '504 Gateway Time-out') {
        my $count = "$dir/count-" . substr $status, 0, 3;
        # Busy for three requests, then as etcd has it.
        my $busy = fake_server(sub {
            my ($path, $body) = @_;
            spew($count, slurp($count) . '.');
            return length slurp($count) <= 3 ? json('<html>busy</html>', $status) : relay($real, $path, $body);
        });
        my $through = run([$locker, '-e', $busy, '-k', $key, '--', 'true']);
        is $through->{code}, 0, "$status at the start goes by" or diag $through->{stderr};
    }
    etcd_stop($etcd);
}

sub relay {
    my ($endpoint, $path, $body) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $endpoint) or return '';
    print $socket "POST $path HTTP/1.0\r\nContent-Length: ", length $body, "\r\n\r\n$body";
    my ($head, $answer) = split /\r\n\r\n/, Etcdlocker::Test::answer_of($socket, 5), 2;
    return json($answer, $head =~ m{^HTTP/1\.\d (.*?)\r}s);
}

# --- an etcd that takes its time for every answer ---

{
    my $etcd = etcd_start();
    my $real = etcd_endpoint();
    my $slow = proxy_start($real, undef, delay => 1.2);
    my $run = run([$locker, '-e', $slow->{endpoint}, '-k', $key, '-t', 20, '--', 'true'], seconds => 60);
    is $run->{code}, 0, 'answers of 1.2 s: the lock is had';
    is $run->{stderr}, '', 'and released, of which nothing else is said';
    # What is still to be cleaned up is no lock that is held.
    ok wait_until(sub { !grep { etcdctl('get', $_, '--print-value-only') !~ /^\0/ } keys_left($key) }, 2), 'so it is';
    proxy_stop($slow);
    etcd_stop($etcd);
}

# --- an etcd that is known to be down: after the loss nobody waits for it ---

{
    my $etcd = etcd_start();
    my $owner = hold(etcd_endpoint(), '-t', 5, '-r', 1, '-g', '1s');
    kill 'STOP', $etcd->{pid};
    is finish($owner, 20), 2, 'etcd is silent: the lock is lost';
    my ($lost) = slurp($owner->{err}) =~ /^(.*lock expiring.*)$/m;
    my @times = map { /T\d+:(\d+):([\d.]+)Z/ ? $1 * 60 + $2 : () } $lost, (split /\n/, slurp($owner->{err}))[-1];
    cmp_ok(($times[1] - $times[0] + 3600) % 3600, '<', 3, 'and the exit does not wait for a release');
    kill 'CONT', $etcd->{pid};
}

done_testing;
