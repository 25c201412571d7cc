package Etcdlocker::Proxy;

# A TCP relay in a process of its own. It can be frozen: then what is behind it is silent, as behind a broken network; lose an
# answer, cut one off, or let it drip.

use strict;
use warnings;
use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(proxy_chaos proxy_serve proxy_start proxy_freeze proxy_thaw proxy_cut_watches proxy_stop);

my %proxies;
my @unheard; # connections whose answers nobody wants
my $main = $$;

# Sends BYTES, a request, to TARGET, and does not wait for the answer.
sub twice {
    my ($target, $bytes) = @_;
    my $server = IO::Socket::INET->new(PeerAddr => $target, Timeout => 1) or return;
    syswrite $server, $bytes;
    push @unheard, $server;
    close shift @unheard if @unheard > 20;
    return;
}

sub relay {
    my ($socket, $target, $lose, %options) = @_;
    my $select = IO::Select->new($socket);
    my (%other, %losing, %is_server, %swallowed);
    my $cut = $options{cut};
    my @late; # [time, socket, bytes]: answers that are held up
    my $turn = 0;
    my ($cut_watches, $chaos) = (0, 0);
    local $SIG{USR2} = sub { $chaos = !$chaos };
    my %watches; # the two ends of connections that carry one
    local $SIG{USR1} = sub { $cut_watches = 1 };
    while (1) {
        my @ready = $select->can_read(@late ? 0.01 : undef);
        if ($cut_watches) {
            for my $end (map { @$_ } values %watches) {
                $select->remove($end);
                delete $other{$end};
                close $end;
            }
            (%watches, $cut_watches) = ();
            next;
        }
        while (@late && $late[0][0] <= time) {
            my (undef, $to, $bytes) = @{ shift @late };
            syswrite $to, $bytes if $other{$to};
        }
        for my $from (@ready) {
            if ($from == $socket) {
                my $client = $socket->accept or next;
                my $server = IO::Socket::INET->new(PeerAddr => $target) or do { close $client; next };
                ($other{$client}, $other{$server}) = ($server, $client);
                $is_server{$server} = 1;
                $select->add($client, $server);
                next;
            }
            my $to = $other{$from} or next;
            my $got = sysread $from, my $bytes, 65536;
            if ($got && defined $lose && $bytes =~ $lose) {
                $losing{$to} = 1;
                undef $lose;
            }
            if ($got && defined $cut && $is_server{$from} && ($cut -= length $bytes) < 0) {
                syswrite $to, substr $bytes, 0, $cut;
                setsockopt $to, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0); # close() resets the connection
                undef $cut;
                $got = 0;
            }
            $watches{$from} = [$from, $to] if $got && !$is_server{$from} && $bytes =~ m{^POST /v3/watch|^GET \S+wait=true};
            if ($got && !$is_server{$from}) {
                $swallowed{$to} = 1 if $options{swallow} && $bytes =~ $options{swallow};
                # Every second one, for all at once would only be slow.
                $losing{"late $to"} = 1 if $options{late} && $bytes =~ $options{late} && ++$turn % 2;
            }
            next if $got && $is_server{$from} && $swallowed{$from};
            if ($got && $is_server{$from} && delete $losing{"late $from"}) {
                push @late, [time + $options{late_by}, $to, $bytes];
                next;
            }
            if ($got && $chaos) {
                # A request goes twice, an answer comes late, or a connection is cut.
                twice($target, $bytes) if !$is_server{$from} && $bytes =~ /^POST (?!\S*watch)/ && rand() < 0.05;
                if ($is_server{$from} && (rand() < 0.1 || grep { $_->[1] == $to } @late)) {
                    # What follows on the same connection stays behind it.
                    my ($last) = sort { $b <=> $a } 0, map { $_->[0] } grep { $_->[1] == $to } @late;
                    my $at = time + 0.1 + rand 1;
                    push @late, [$at > $last ? $at : $last + 0.001, $to, $bytes];
                    @late = sort { $a->[0] <=> $b->[0] } @late;
                    next;
                }
                $got = 0 if rand() < 0.02;
            }
            sleep $options{delay} if $options{delay} && $is_server{$from};
            if ($got && $options{drip} && $is_server{$from}) {
                for my $byte (split //, $bytes) {
                    sleep $options{drip};
                    defined syswrite $to, $byte or last;
                }
                next;
            }
            $losing{$from} = 1 if $got && $is_server{$from} && $options{shut} && $bytes =~ $options{shut};
            next if $got && !$losing{$from} && defined syswrite $to, $bytes;
            $select->remove($from, $to);
            delete @other{ $from, $to };
            delete @is_server{ $from, $to };
            close $_ for $from, $to;
        }
    }
    return;
}

# Relays to TARGET (host:port); returns { pid, endpoint }. The answer to the first request that matches LOSE gets lost: the
# connection is closed instead. Options: cut, so many bytes of answers pass, then their connection is reset, once; drip,
# seconds for each byte of answers; delay, seconds before each piece of an answer; late, every second answer to a request that
# matches comes late_by seconds late, with others passing it; swallow, a request that matches gets no answer; shut, a
# connection is closed in place of an answer that matches; address and port
# to listen on.
sub proxy_start {
    my ($target, $lose, %options) = @_;
    my $address = $options{address} // '127.0.0.1';
    my $socket = IO::Socket::INET->new(Listen => 64, ReuseAddr => 1, LocalAddr => $address, LocalPort => $options{port} // 0) or die "no port: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        srand; # else all of them would do the same
        $SIG{PIPE} = 'IGNORE';
        $SIG{ALRM} = sub { POSIX::_exit(0) };
        alarm 3600; # not to outlive a script that is killed
        relay($socket, $target, $lose, %options);
        POSIX::_exit(0);
    }
    $proxies{$pid} = 1;
    return { pid => $pid, endpoint => "$address:" . $socket->sockport };
}

# Relays to TARGET from ADDRESS and PORT, in this process and for ever: for one that runs in another network namespace.
sub proxy_serve {
    my ($target, $address, $port) = @_;
    my $socket = IO::Socket::INET->new(Listen => 64, ReuseAddr => 1, LocalAddr => $address, LocalPort => $port) or die "$address:$port: $!";
    $SIG{PIPE} = 'IGNORE';
    relay($socket, $target);
    return;
}

sub proxy_freeze { kill 'STOP', $_[0]{pid}; return }
# Begins or ends chaos: requests that go twice, answers that come late, connections that are cut.
sub proxy_chaos { kill 'USR2', $_[0]{pid}; return }
sub proxy_cut_watches { kill 'USR1', $_[0]{pid}; return }
sub proxy_thaw { kill 'CONT', $_[0]{pid}; return }

sub proxy_stop {
    my ($proxy) = @_;
    kill 'KILL', $proxy->{pid};
    waitpid $proxy->{pid}, 0;
    delete $proxies{ $proxy->{pid} };
    return;
}

END {
    if ($$ == $main) {
        my $status = $?;
        for my $pid (keys %proxies) {
            kill 'KILL', $pid;
            waitpid $pid, 0;
        }
        $? = $status;
    }
}

1;
