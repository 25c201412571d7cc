package Etcdlocker::Terminal;

# Commands on a terminal of their own, what is typed there, and what appears.

use strict;
use warnings;
use Exporter qw(import);
use Etcdlocker::Test;
use Test::More;

our @EXPORT = qw(terminal_start shell type shows leave);

# COMMAND on a terminal of its own: for type() and shows().
sub terminal_start {
    my ($command, %options) = @_;
    pipe my $out, my $in or die;
    $in->autoflush(1);
    my $process = start(["$ENV{BUILD_DIR}/t/pty", @$command], before => sub {
        close $in;
        POSIX::dup2(fileno $out, 0);
    }, %options);
    close $out;
    return { process => $process, in => $in, seen => 0 };
}

# An interactive shell on a terminal of its own.
sub shell {
    my $shell = terminal_start(['bash', '--norc', '--noprofile', '-i'], env => { PS1 => 'PROMPT', HISTFILE => '' });
    shows($shell, qr/PROMPT/, 'the shell') or BAIL_OUT('no interactive shell');
    return $shell;
}

sub type { my ($shell, $text) = @_; syswrite $shell->{in}, $text; return }

# Waits until what has appeared since the last call matches; the terminal echoes what is typed, too.
sub shows {
    my ($shell, $pattern, $what) = @_;
    return wait_until(sub {
        my $new = substr slurp($shell->{process}{out}), $shell->{seen};
        return if $new !~ $pattern;
        $shell->{seen} += $+[0];
        return 1;
    }, 10, $what);
}

sub leave {
    my ($shell) = @_;
    close $shell->{in};
    finish($shell->{process}, 10);
    return;
}

1;
