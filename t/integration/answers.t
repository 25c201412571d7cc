# The simulated etcd of t/sim: the same requests to it and to a real one have the same answers.
use strict;
use warnings;
use Etcdlocker::Test;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 ();
use Test::More;

etcd_need();
my $sim = "$ENV{BUILD_DIR}/t/sim/sim";
my $json = JSON::PP->new->canonical->allow_nonref;

srand 1;
my @keys = map { encode64("/k/$_") } 1 .. 5;

sub encode64 { return MIME::Base64::encode_base64($_[0], '') }

sub pick { return $_[int rand @_] }

sub some_lease { return '' . (1000 + int rand 6) }

sub some_range {
    my %range = (key => pick(@keys));
    $range{range_end} = encode64('/k0') if rand() < 0.5;
    $range{key} = encode64('/k/') if exists $range{range_end};
    $range{sort_target} = pick(qw(CREATE MOD KEY)) if rand() < 0.5;
    $range{sort_order} = pick(qw(ASCEND DESCEND)) if exists $range{sort_target};
    $range{limit} = '' . pick(1, 2) if rand() < 0.3;
    $range{keys_only} = JSON::PP::true if rand() < 0.2;
    $range{count_only} = JSON::PP::true if rand() < 0.2;
    $range{max_create_revision} = '' . int rand 40 if rand() < 0.2;
    return \%range;
}

sub some_put {
    my ($key) = @_;
    my %put = (key => $key);
    if (rand() < 0.3) { $put{ignore_value} = JSON::PP::true } else { $put{value} = encode64(pick('', 'a', "\0b", 'longer')) }
    if (rand() < 0.2) { $put{ignore_lease} = JSON::PP::true } elsif (rand() < 0.6) { $put{lease} = some_lease() }
    return { request_put => \%put };
}

sub some_op {
    my ($key) = @_;
    return some_put($key) if rand() < 0.5;
    return { request_range => some_range() } if rand() < 0.7;
    return { request_delete_range => { key => $key } };
}

sub some_compare {
    my ($target, $field) = @{ pick(['CREATE', 'create_revision'], ['MOD', 'mod_revision'], ['VERSION', 'version'], ['LEASE', 'lease'], ['VALUE', 'value']) };
    my $value = $field eq 'value' ? encode64(pick('a', 'longer')) : $field eq 'lease' ? some_lease() : '' . pick(0, 0, 1, int rand 40);
    return { target => $target, result => pick(qw(EQUAL EQUAL NOT_EQUAL GREATER LESS)), key => pick(@keys), $field => $value };
}

sub some_request {
    my $dice = rand;
    return ['/v3/lease/grant', { ID => some_lease(), TTL => '' . pick(1, 600, 900) }] if $dice < 0.15;
    return [pick('/v3/lease/revoke', '/v3/kv/lease/revoke'), { ID => some_lease() }] if $dice < 0.22;
    return ['/v3/lease/keepalive', { ID => some_lease() }] if $dice < 0.3;
    return ['/v3/kv/range', some_range()] if $dice < 0.5;
    my @order = sort { rand() <=> 0.5 } @keys;
    my %txn;
    $txn{compare} = [map { some_compare() } 1 .. pick(1, 2)] if rand() < 0.8;
    # One key twice is an error, and in etcd's eyes also where one of the two is deleted: left out.
    for my $list (qw(success failure)) {
        $txn{$list} = [map { some_op($order[$_]) } 0 .. pick(0, 1, 2)] if rand() < 0.8;
    }
    return ['/v3/kv/txn', \%txn];
}

# What is compared of an answer: no ids of machines, and of an error its number and its words.
sub essence {
    my ($text) = @_;
    my $answer = eval { $json->decode($text) } // return $text;
    return { code => $answer->{code}, words => $answer->{message} // $answer->{error} } if ref $answer && defined $answer->{code};
    strip($answer);
    return $answer;
}

sub strip {
    my ($thing) = @_;
    if (ref $thing eq 'ARRAY') { strip($_) for @$thing }
    return if ref $thing ne 'HASH';
    delete @$thing{qw(cluster_id member_id raft_term expiration ttl)};
    strip($_) for values %$thing;
    return;
}

sub connection {
    my ($method, $path, $body) = @_;
    my ($port) = etcd_endpoint() =~ /:(\d+)$/;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die "no etcd: $!";
    print $socket "$method $path HTTP/1.0\r\nContent-Length: ", length $body, "\r\n\r\n$body";
    return $socket;
}

# The body of etcd's answer.
sub ask {
    my $socket = connection(@_);
    local $/;
    my $whole = <$socket>;
    return $whole =~ s/^.*?\r\n\r\n//sr;
}

# What the simulated etcd says to REQUESTS: [method, path, body], one after the other.
sub simulate {
    my (@requests) = @_;
    my $input = join '', map { "$_->[0] $_->[1] $_->[2]\n" } @requests;
    my $run = run(['sh', '-c', "exec '$sim' --answers < '" . spew("$dir/requests", $input) . "'"], seconds => 60);
    return split /\n/, $run->{stdout};
}

# Fails where an answer of one is none of the other.
sub compare {
    my ($name, $requests, $real, $simulated) = @_;
    my $differences = 0;
    for my $i (0 .. $#$requests) {
        my ($theirs, $ours) = map { $json->encode(essence($_ // 'nothing')) } $real->[$i], $simulated->[$i];
        next if $theirs eq $ours;
        diag "@{ $requests->[$i] }\n  etcd:      $theirs\n  simulated: $ours" if $differences++ < 5;
    }
    is $differences, 0, "$name: " . @$requests . ' requests are answered as by etcd';
    return;
}

# --- v3, with watches ---

# The events of one key in a stream, without what depends on the moment.
sub events_of {
    my ($stream, $key) = @_;
    my @events = map { @{ $_->{result}{events} // [] } } $json->incr_parse($stream);
    $json->incr_reset;
    return [grep { $_->{kv}{key} eq $key } @events];
}

etcd_start(arguments => etcd_has_v2() ? ['--enable-v2'] : []);
{
    my @watches = map { ['POST', '/v3/watch', $json->encode({ create_request => { key => $_, prev_kv => JSON::PP::true } })] } @keys;
    my @requests = map { my $request = some_request(); ['POST', $request->[0], $json->encode($request->[1])] } 1 .. 1000;
    my @streams = map { connection(@$_) } @watches;
    wait_until(sub { my $count = grep { watched($_) } @streams; $count == @streams }, 10, 'etcd to confirm the watches');
    my @real = map { ask(@$_) } @requests;
    my @simulated = simulate(@watches, @requests);
    my @answers = map { s/^\d+ //r } splice @simulated, 0, scalar @requests;
    compare('v3', \@requests, \@real, \@answers);
    my $told = join "\n", @simulated;
    for my $i (0 .. $#keys) {
        my $ours = events_of($told, $keys[$i]);
        my $theirs = [];
        wait_until(sub { watched($streams[$i]); $theirs = events_of(${*{ $streams[$i] }}{told}, $keys[$i]); @$theirs >= @$ours }, 10, 'events');
        is_deeply $theirs, $ours, @$ours . ' events of one key are told as by etcd';
        cmp_ok scalar @$ours, '>', 10, 'which are some';
    }
}

# What a watch has told so far is kept with its socket: true where there is something.
sub watched {
    my ($socket) = @_;
    $socket->blocking(0);
    while (sysread $socket, my $bytes, 65536) { ${*$socket}{raw} .= $bytes }
    ${*$socket}{told} = (${*$socket}{raw} // '') =~ s/^.*?\r\n\r\n//sr;
    return length ${*$socket}{told};
}

# --- v2 ---

SKIP: {
    skip 'no v2 API: etcd 3.6 has none', 1 if !etcd_has_v2();
    my ($base) = ask('PUT', '/v2/keys/first?value=x', '') =~ /"modifiedIndex":(\d+)/;
    my ($ours) = join("\n", simulate(['PUT', '/v2/keys/first?value=x', ''])) =~ /"modifiedIndex":(\d+)/;
    # An index in a request is a number from the first one on.
    my $some = sub {
        my ($key, $index) = (pick(qw(/a /b)), int rand 60);
        my $dice = rand;
        return ['PUT', "/v2/keys$key?prevExist=false&ttl=900&value=" . pick(qw(x y))] if $dice < 0.35;
        return ['PUT', "/v2/keys$key?prevExist=true&prevIndex=<$index>&ttl=900&refresh=true" . pick('', '&prevValue=x')] if $dice < 0.6;
        return ['DELETE', "/v2/keys$key?prevIndex=<$index>" . pick('', '&prevValue=y')] if $dice < 0.75;
        return ['DELETE', "/v2/keys$key"] if $dice < 0.8;
        return ['GET', "/v2/keys$key?quorum=true"];
    };
    my @requests = map { $some->() } 1 .. 400;
    my $number = sub { my ($first) = @_; return map { [$_->[0], $_->[1] =~ s/<(\d+)>/$1 + $first/er, ''] } @requests };
    my $relative = sub { my ($first, $text) = @_; return $text =~ s/("(?:modifiedIndex|createdIndex|index)":)(\d+)/$1 . ($2 - $first)/ger =~ s/"cause":"[^"]*",?//r };
    my @real = map { $relative->($base, ask(@$_)) } $number->($base);
    my (undef, @simulated) = map { $relative->($ours, s/^\d+ //r) } simulate(['PUT', '/v2/keys/first?value=x', ''], $number->($ours));
    compare('v2', \@requests, \@real, \@simulated);
}
done_testing();
