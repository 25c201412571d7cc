package Etcdlocker::FakeServer;

# An HTTP server that does what a real etcd will not: garbage, truncation, silence. A script gives it a function that
# gets the path and the body of each request and returns what to answer with:
#   json("text")       an HTTP answer with this body; the connection is kept
#   "text"             these bytes, then the connection is closed
#   \"text"            these bytes, then silence
#   undef              silence

use strict;
use warnings;
use Exporter qw(import);
use IO::Socket::INET;
use POSIX ();

our @EXPORT = qw(fake_server json);

my %servers;
my $main = $$;

sub json {
    my ($body, $status) = @_;
    return sprintf "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", $status // '200 OK',
        length $body, $body;
}

# Starts a server; returns its host:port. It ends with the script.
sub fake_server {
    my ($answer) = @_;
    my $socket = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => 0) or die "no port: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{CHLD} = 'IGNORE';
        # Not to outlive a script that is killed.
        $SIG{ALRM} = sub { POSIX::_exit(0) };
        alarm 300;
        while (1) {
            my $client = $socket->accept or next;
            my $child = fork // next;
            if ($child == 0) {
                close $socket;
                alarm 120;
                serve($client, $answer);
                POSIX::_exit(0);
            }
        }
    }
    $servers{$pid} = 1;
    return '127.0.0.1:' . $socket->sockport;
}

sub read_request {
    my ($client) = @_;
    my ($path, $length, $body) = (undef, 0, '');
    while (defined(my $line = <$client>)) {
        $path //= $1 if $line =~ /^\S+ (\S+)/;
        $length = $1 if $line =~ /^content-length:\s*(\d+)/i;
        last if $line =~ /^\r?\n$/;
    }
    read $client, $body, $length if $length;
    return ($path, $body);
}

sub serve {
    my ($client, $answer) = @_;
    local $SIG{PIPE} = 'IGNORE'; # the client may hang up
    while (1) {
        my ($path, $body) = read_request($client);
        return if !defined $path;
        my $reply = $answer->($path, $body);
        my $silent = !defined $reply || ref $reply;
        my $bytes = ref $reply ? $$reply : $reply // '';
        while (length $bytes) {
            my $sent = syswrite($client, $bytes, 65536) or return;
            substr $bytes, 0, $sent, '';
        }
        if ($silent) {
            1 while sysread $client, my $rest, 4096;
            return;
        }
        return if $reply !~ /\AHTTP\/1\.1 .*\r\ncontent-length:/si;
    }
}

END {
    if ($$ == $main) {
        my $status = $?;
        for my $pid (keys %servers) {
            kill 'KILL', $pid;
            waitpid $pid, 0;
        }
        $? = $status;
    }
}

1;
