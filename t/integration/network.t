# A network that lies: connections that break at any byte, answers that drip or never end, names with several addresses, an
# etcd under another name, one that says what cannot be.
use strict;
use warnings;
use Etcdlocker::FakeServer;
use Etcdlocker::Proxy;
use Etcdlocker::Test;
use IO::Socket::INET;
use Test::More;

etcd_need();
my $etcd = etcd_start();
my $real = $etcd->{endpoint};
my $key = '/network';

# --- a reset at every byte of what etcd answers ---

{
    my $parallel = 8;
    my ($offset, $over, $wrong, $cuts) = (0, 0, 0, 0);
    while (!$over && $offset < 20_000) {
        my @runs = map {
            my $proxy = proxy_start($real, undef, cut => $offset++);
            my $file = "$dir/ran$_";
            { proxy => $proxy, file => $file, run => start([$locker, '-v', '-e', $proxy->{endpoint}, '-k', "$key/$_", '--', 'sh', '-c', "echo ran >> $file"]) }
        } 1 .. $parallel;
        for my $one (@runs) {
            my $code = finish($one->{run});
            my $ran = () = slurp($one->{file}) =~ /ran/g;
            if (($code // -1) != 0 || $ran != 1) {
                $wrong++;
                diag "cut near byte $offset: code " . ($code // 'none') . ", ran $ran times: $one->{run}{stderr}";
            }
            unlink $one->{file};
            # Where nothing was cut any more, the end of all answers is reached.
            my $broken = $one->{run}{stderr} =~ /reset by peer|Empty reply|closed|transfer|[Rr]ecv failure|errno/;
            $cuts += $broken;
            proxy_stop($one->{proxy});
        }
        $over = 1 if $offset > 1200 && !grep { $_->{run}{stderr} =~ /reset by peer|[Rr]ecv failure|closed with/ } @runs;
        last if $wrong > 3;
    }
    is $wrong, 0, "$offset runs, each with a connection reset one byte later: all run their command once";
    cmp_ok $cuts, '>', 500, "$cuts of them saw it";
    is_deeply [keys_left($key)], [], 'no key is left';
    ok wait_until(sub { leases_left() == 0 }, 70), 'no lease is left';
}

# --- slow, and without an end ---

sub refused {
    my ($name, $endpoint, $says, @arguments) = @_;
    my $run = run([$locker, '-e', $endpoint, '-k', $key, '--connect-timeout', '2s', @arguments, '--', 'touch', "$dir/touched"], seconds => 30);
    is $run->{code}, 1, "$name: not acquired";
    like $run->{stderr}, qr/$says[^\n]*\n\z/, "$name: said";
    ok !unlink("$dir/touched"), "$name: the command did not run";
    cmp_ok $run->{seconds}, '<', 8, "$name: in time";
    return;
}

my $drip = proxy_start($real, undef, drip => 0.05);
refused('a byte every 50 ms', $drip->{endpoint}, qr/no answer within/);
is run([$locker, '-e', "$drip->{endpoint},$real", '-k', $key, '--', 'true'])->{code}, 0, 'beside one that drips';
refused('headers without an end', fake_server(sub { "HTTP/1.1 200 OK\r\n" . "X-Header: ${\('x' x 100)}\r\n" x 10_000 }), qr/more than 65536 bytes of headers|[Tt]oo large/);
refused('one header without an end', fake_server(sub { "HTTP/1.1 200 OK\r\nX: " . 'x' x 10_000_000 }), qr/bytes of headers|[Tt]oo large|header line of (?:it|the answer) is too long/);
refused('a chunk of 2^64 bytes', fake_server(sub { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{" }), qr/chunk|transfer|longer|[Ii]llegal/i);
refused('a content length that is none', fake_server(sub { "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}" }), qr/no etcd|[Cc]ontent-[Ll]ength|Weird/);

# --- surroundings ---

is run([$locker, '-e', $real, '-k', $key, '--', 'true'], env => { map { $_ => 'http://127.0.0.1:1' } qw(http_proxy HTTP_PROXY ALL_PROXY all_proxy) })->{code}, 0,
    'proxies of the environment are for other traffic';
is run([$locker, '-k', $key, '--', 'true'], env => { ETCDCTL_ENDPOINTS => "http://$real" })->{code}, 0, "etcdctl's variable names the endpoints";
is run([$locker, '-k', $key, '--', 'true'], env => { ETCDCTL_ENDPOINTS => 'http://127.0.0.1:1', ETCD_LOCK_HOST => $real })->{code}, 0, 'ours beats it';

{
    my %first;
    for (1 .. 12) {
        my $run = run([$locker, '-v', '-e', '127.0.0.1:1,127.0.0.1:2,127.0.0.1:3', '--connect-timeout', '20ms', '-k', $key, '--', 'true']);
        $first{$1}++ if $run->{stderr} =~ m{http://127\.0\.0\.1:(\d)};
    }
    cmp_ok scalar keys %first, '>=', 2, 'processes begin with different endpoints of their list';
}

# --- a name with several addresses, one of which takes connections and is silent ---

SKIP: {
    skip 'no /etc/hosts that another one can stand in for', 3 if !can_stand_in('/etc/hosts');
    # The resolver puts 127.0.0.1 first (RFC 6724, rule 9).
    my $silent = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => 0) or die "no port: $!";
    my $port = $silent->sockport;
    my $other = eval { proxy_start($real, undef, address => '127.0.0.2', port => $port) } or skip 'no address 127.0.0.2', 3;
    spew("$dir/hosts", "127.0.0.1 many.test\n127.0.0.2 many.test\n");
    my @many = ('unshare', '-m', 'sh', '-c', "mount --bind $dir/hosts /etc/hosts && exec \"\$@\"", 'sh');
    my $run = run([@many, $locker, '-v', '-e', "many.test:$port", '-k', $key, '-t', 4, '--', 'sleep', 9], seconds => 30);
    is $run->{code}, 0, 'the address that serves is found, for two leases' or diag $run->{stderr};
    my $went = () = $run->{stderr} =~ /no answer within/g;
    cmp_ok $went, '<=', 6, "and the silent one is left alone: $went tries went there";
    cmp_ok $went, '>', 0, 'some tries did go there';
}

# --- etcd 3.3 has its API below /v3beta ---

sub relay {
    my ($path, $body) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $real) or return '';
    print $socket "POST $path HTTP/1.0\r\nContent-Length: ", length $body, "\r\n\r\n$body";
    local $/;
    my ($head, $answer) = split /\r\n\r\n/, <$socket> // '', 2;
    return json($answer, $head =~ m{^HTTP/1\.\d (.*?)\r}s);
}

{
    my $log = "$dir/paths";
    my $old = fake_server(sub {
        my ($path, $body) = @_;
        open my $out, '>>', $log or die;
        print $out "$path\n";
        close $out;
        return json("404 page not found\n", '404 Not Found') if $path !~ m{^/v3beta/} || $path =~ m{/v3beta/lease/(?:revoke|timetolive)};
        return undef if $path =~ /watch/;
        return relay($path, $body);
    });
    is run([$locker, '-e', $old, '-k', $key, '--', 'true'])->{code}, 0, 'an etcd with /v3beta only';
    is run([$locker, '-e', $old, '-k', $key, '--status'])->{code}, 1, '--status with it';
    my @asked = grep { m{^/v3/} } split /\n/, slurp($log);
    cmp_ok scalar @asked, '<=', 2, 'each process asks once for /v3';
    is_deeply [keys_left($key)], [], 'nothing is left';
}

# --- lies ---

my $header = '"header":{"revision":"7"}';

# An etcd that grants TTL, and for a key put answers with VALUES for create and mod revision and lease, "%s" being the true one.
sub liar {
    my ($ttl, %options) = @_;
    return fake_server(sub {
        my ($path, $body) = @_;
        my ($id) = $body =~ /"ID":"(\d+)"/;
        return json("{$header,\"ID\":\"$id\",\"TTL\":$ttl}") if $path eq '/v3/lease/grant';
        return json("{$header}") if $path =~ /revoke/;
        if ($path eq '/v3/kv/txn' && $body =~ /"key":"([^"]+)","value":"([^"]+)","lease":"(\d+)"/) {
            my ($create, $mod, $lease) = map { $options{$_} // '"7"' } qw(create mod lease);
            $lease = $options{lease} // "\"$3\"";
            return json("{$header,\"succeeded\":true,\"responses\":[{},{\"response_range\":{\"kvs\":[{\"key\":\"$1\",\"value\":\"$2\",\"lease\":$lease,\"create_revision\":$create,\"mod_revision\":$mod}]}}]}");
        }
        return undef;
    });
}

refused('a TTL that etcd never grants', liar('"9000000000"'), qr/longer than the one asked for/);
refused('a TTL of 2^63', liar('"9223372036854775808"'), qr/not an integer|out of range/);
refused('a TTL of -2^63', liar('"-9223372036854775808"'), qr/out of range/);
refused('a TTL that is a number with a point', liar('60.5'), qr/not an integer/);
refused('a TTL of NaN', liar('NaN'), qr/no etcd v3/);
refused('a TTL twice', liar('"60","TTL":"61"'), qr/no etcd v3/);
refused('a create revision of 2^63', liar('"60"', create => '"9223372036854775808"'), qr/not an integer|out of range/);
refused('a create revision of zero', liar('"60"', create => '"0"'), qr/revisions are none that it can have/);
refused('a create revision below zero', liar('"60"', create => '"-7"'), qr/revisions are none that it can have/);
refused('a mod revision ahead of the store', liar('"60"', mod => '"8"'), qr/revisions are none/);
refused('a key on another lease', liar('"60"', lease => '"12345"'), qr/./, '-w', '1s');

done_testing;
