package Etcdlocker::Proxy;

# A TCP relay in a process of its own, which can be frozen: then what is behind it is silent, as behind a broken network.

use strict;
use warnings;
use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use POSIX ();

our @EXPORT = qw(proxy_start proxy_freeze proxy_thaw proxy_stop);

my %proxies;
my $main = $$;

sub relay {
    my ($socket, $target, $lose) = @_;
    my $select = IO::Select->new($socket);
    my (%other, %losing);
    while (my @ready = $select->can_read) {
        for my $from (@ready) {
            if ($from == $socket) {
                my $client = $socket->accept or next;
                my $server = IO::Socket::INET->new(PeerAddr => $target) or do { close $client; next };
                ($other{$client}, $other{$server}) = ($server, $client);
                $select->add($client, $server);
                next;
            }
            my $to = $other{$from} or next;
            my $got = sysread $from, my $bytes, 65536;
            if ($got && defined $lose && $bytes =~ $lose) {
                $losing{$to} = 1;
                undef $lose;
            }
            next if $got && !$losing{$from} && defined syswrite $to, $bytes;
            $select->remove($from, $to);
            delete @other{ $from, $to };
            close $_ for $from, $to;
        }
    }
    return;
}

# Relays to TARGET (host:port); returns { pid, endpoint }. The answer to the first request that matches LOSE gets lost: the
# connection is closed instead.
sub proxy_start {
    my ($target, $lose) = @_;
    my $socket = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => 0) or die "no port: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{PIPE} = 'IGNORE';
        $SIG{ALRM} = sub { POSIX::_exit(0) };
        alarm 3600; # not to outlive a script that is killed
        relay($socket, $target, $lose);
        POSIX::_exit(0);
    }
    $proxies{$pid} = 1;
    return { pid => $pid, endpoint => '127.0.0.1:' . $socket->sockport };
}

sub proxy_freeze { kill 'STOP', $_[0]{pid}; return }
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
