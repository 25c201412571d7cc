package Etcdlocker::FakeServer;

# An HTTP server that does what a real etcd will not: garbage, truncation, silence. A script gives it a function that
# gets path, body and the number of the request, and returns the bytes to answer with. Before they are sent in pieces:
#   "text"             these bytes, then the connection is closed
#   json("text")       an HTTP answer with this body
#   undef              silence: the connection stays open
#   \"text"            these bytes, then silence

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
        my $count = 0;
        while (1) {
            my $client = $socket->accept or next;
            $count++;
            my $child = fork // next;
            if ($child == 0) {
                close $socket;
                alarm 120;
                serve($client, $answer, $count);
                POSIX::_exit(0);
            }
        }
    }
    $servers{$pid} = 1;
    return '127.0.0.1:' . $socket->sockport;
}

sub serve {
    my ($client, $answer, $count) = @_;
    while (1) {
        my ($head, $length) = ('', 0);
        while (defined(my $line = <$client>)) {
            $head .= $line;
            $length = $1 if $line =~ /^content-length:\s*(\d+)/i;
            last if $line =~ /^\r?\n$/;
        }
        my ($path) = $head =~ /^\S+ (\S+)/ or return;
        my $body = '';
        read $client, $body, $length if $length;
        my $bytes = $answer->($path, $body, $count);
        if (!defined $bytes || ref $bytes) {
            syswrite $client, $$bytes if ref $bytes;
            1 while sysread $client, my $rest, 4096;
            return;
        }
        # Large answers in several writes; the client may hang up.
        local $SIG{PIPE} = 'IGNORE';
        while (length $bytes) {
            my $sent = syswrite($client, $bytes, 65536) or return;
            substr $bytes, 0, $sent, '';
        }
        return if $head !~ /HTTP\/1\.1/ || $bytes eq '' && !$client->connected;
        return unless $answer->('keep', '', $count);
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
