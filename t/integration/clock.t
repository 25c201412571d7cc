# The machine's clocks are slewed while a lock is held: the lease is counted on the clock that says more has passed.
use strict;
use warnings;
use Etcdlocker::Test;
use POSIX ();
use Test::More;
use Time::HiRes qw(clock_gettime);

# CLOCK_MONOTONIC_RAW, which is never slewed (clock_gettime(2)).
sub raw { return clock_gettime(4) }

etcd_need();
my $etcd = etcd_start();

# TICK 9167 makes CLOCK_BOOTTIME 8.33 % slower than time, which is what chrony does at most. The clocks are as they were when
# the pipe is closed, by whatever end of ours.
sub slew {
    my ($tick) = @_;
    pipe my $read, my $write or die;
    my $slew = start(["$ENV{BUILD_DIR}/t/slew", $tick], before => sub { close $write; POSIX::dup2(fileno $read, 0) });
    close $read;
    $slew->{hold} = $write;
    return wait_until(sub { slurp($slew->{out}) =~ /slewed/ || !alive($slew->{pid}) }, 10) && slurp($slew->{out}) =~ /slewed/ ? $slew : undef;
}

SKIP: {
    my @cases = ([2, 1.7], [60, 53.9]);
    my @owners;
    for my $case (@cases) {
        my ($ttl) = @$case;
        my $beat = "$dir/beat$ttl";
        # No renewal before the end; told on the way that it cannot be renewed, the command does not care.
        my $began = raw();
        my $owner = start_locker(['-v', '-k', "/clock$ttl", '-t', $ttl, '-r', $ttl == 60 ? 30 : 1, '-g', '100ms', '--', 'sh', '-c', "trap '' TERM; while :; do echo >> $beat; sleep 0.02; done"]);
        wait_until(sub { -s $beat }, 10, 'the command to run');
        push @owners, [$owner, $began, raw(), @$case];
    }
    kill 'STOP', $etcd->{pid};
    my $slew = slew(9167) or skip 'the clocks of this machine must not be slewed', 2 * @cases;
    for my $one (@owners) {
        my ($owner, $began, $running, $ttl, $limit) = @$one;
        my (undef, undef, $command) = family_of($owner);
        ok wait_until(sub { !alive($command) }, 70), "TTL $ttl: the command is killed";
        my $lived = raw() - $began;
        # On CLOCK_BOOTTIME alone it would be 8.33 % more.
        cmp_ok $lived, '<', $limit + ($running - $began) + 2.5, "$lived s after the lease was asked for";
    }
    close $slew->{hold};
    is finish($slew), 0, 'the clocks are as they were';
    kill 'CONT', $etcd->{pid};
    finish($_->[0]) for @owners;
}
kill 'CONT', $etcd->{pid};

done_testing;
