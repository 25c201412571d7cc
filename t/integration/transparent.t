# The command sees what it would have seen without us.
use strict;
use warnings;
use Etcdlocker::Test;
use POSIX ();
use Test::More;

etcd_need();
etcd_start();

# The probe's lines without us and with us, started alike.
sub compare {
    my ($name, %options) = @_;
    my @words = ('two words', '', '-x', '--', '$HOME', "new\nline");
    my $direct = run([$probe, @words], %options);
    my $locked = run_locker(['-k', '/t', '--', $probe, @words], %options);
    # The two have files of their own for stdout and stderr.
    s/^(fd [12] .*) inode \d+/$1/mg, s/^(env _=).*/$1/m for $direct->{stdout}, $locked->{stdout};
    my %extra = map { $_ => 1 } qw(ETCD_LOCK_REV ETCD_LOCK_OWNER_KEY ETCD_LOCK_CREATE_REV);
    my @lines = grep { !(/^env (\w+)=/ && delete $extra{$1}) } split /^/, $locked->{stdout};
    is join('', sort @lines), join('', sort split /^/, $direct->{stdout}), "$name: nothing else changes";
    is_deeply [keys %extra], [], "$name: our variables are there";
}

compare('plain');
compare('with descriptors', before => sub {
    open my $file, '<', '/etc/passwd' or die;
    POSIX::dup2(fileno $file, $_) for 3, 7, 100;
});
compare('with stdin closed', before => sub { POSIX::close(0) });
compare('with signals blocked and ignored', before => sub {
    $SIG{$_} = 'IGNORE' for qw(PIPE CHLD HUP USR1);
    POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new(POSIX::SIGUSR2(), POSIX::SIGTERM()));
});
# musl keeps RTMIN to itself.
compare('with RTMIN ignored', before => sub { $SIG{RTMIN} = 'IGNORE' });
compare('with RTMIN blocked', before => sub { POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new(34, 64)) });
compare('with our names in the environment', env => { ETCD_LOCK_ID => 'x', FOO => 'bar' });

{
    my $text = join '', map { "line $_\n" } 1 .. 20000;
    my $run = run_locker(['-k', '/t', 'cat'], stdin => spew("$dir/in", $text));
    ok $run->{stdout} eq $text, 'stdin reaches the command';
}

{
    my $run = start_locker(['-k', '/t', '--', $probe, 'signals']);
    ok wait_until(sub { slurp($run->{out}) =~ /^ready$/m }, 10), 'the probe is ready';
    # CONT last: it is also what follows a stop signal.
    for my $signal (qw(HUP USR1 ALRM WINCH URG RTMIN CONT)) {
        my $number = $signal eq 'RTMIN' ? POSIX::SIGRTMIN() : { HUP => 1, USR1 => 10, ALRM => 14, WINCH => 28, URG => 23, CONT => 18 }->{$signal};
        kill $number, $run->{pid};
        ok wait_until(sub { slurp($run->{out}) =~ /^signal $number$/m }, 10), "$signal is passed on";
    }
    kill 'USR2', $run->{pid};
    is finish($run), 0, 'and the command ends as it likes';
}

done_testing;
