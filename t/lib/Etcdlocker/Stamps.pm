package Etcdlocker::Stamps;

# Commands that write down when they live, and the checker that holds these intervals against each other.
#
# Every process of such a command's tree appends a line "RUN TOKEN SECONDS" to one file every few milliseconds, with one
# write(2) on O_APPEND: RUN tells one start of the command from another, TOKEN is the fencing token (0: none), SECONDS are
# CLOCK_MONOTONIC. A run's interval is from its first stamp to its last, whichever process wrote it.

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT = qw(stamper read_runs check_runs);

# Writes the command to FILE: "perl FILE LOG SECONDS": stamps for SECONDS (0: for ever) from itself, from a child in its
# group, and from a grandchild in a session of its own; ignores the signals that ask it to end where STUBBORN is in the
# environment.
sub stamper {
    my ($file) = @_;
    open my $out, '>', $file or die "$file: $!";
    print $out <<'PERL';
use strict; use warnings; use Fcntl; use POSIX qw(setsid); use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);
my ($log, $seconds) = @ARGV;
my $run = sprintf '%s%d-%.6f', $ENV{STAMP} // '', $$, clock_gettime(CLOCK_MONOTONIC);
if ($ENV{STUBBORN}) { $SIG{$_} = 'IGNORE' for qw(TERM INT HUP) }
sysopen my $out, $log, O_WRONLY | O_APPEND | O_CREAT or die;
my $end = $seconds ? clock_gettime(CLOCK_MONOTONIC) + $seconds : 1e18;
sub stamps {
    while ((my $now = clock_gettime(CLOCK_MONOTONIC)) < $end) {
        syswrite $out, sprintf "%s %s %.6f\n", $run, $ENV{ETCD_LOCK_REV} || 0, $now;
        sleep 0.005;
    }
}
if (!fork) { stamps(); exit }
if (!fork) { setsid(); if (!fork) { stamps() } exit }
stamps();
1 while wait > 0;
PERL
    close $out or die;
    return $file;
}

# The runs in LOG: { run, token, first, last }, in the order of their first stamps.
sub read_runs {
    my ($log) = @_;
    my %runs;
    open my $in, '<', $log or return;
    while (my $line = <$in>) {
        my ($run, $token, $at) = $line =~ /^(\S+) (\d+) (\d+\.\d+)$/ or next;
        my $seen = $runs{$run} //= { run => $run, token => $token, first => $at, last => $at };
        $seen->{first} = $at if $at < $seen->{first};
        $seen->{last} = $at if $at > $seen->{last};
    }
    return sort { $a->{first} <=> $b->{first} } values %runs;
}

# Holds runs, sorted by their first stamp, against each other: { overlaps: how many, overlap: seconds in all, worst:
# seconds, wrong: sentences, disorder: how often a token did not grow, excepted: overlaps that count for nothing }. After RUNS
# a hash: careless, a pattern for the names of runs that nobody ends when their lock is lost (etcdctl's): that they live on is
# not our fault, that ours do is; restored, points in time at which etcd came back with an older store, after which tokens begin
# anew, and a holder needs a moment to see it (see etcdlocker(1), "what is not promised").
sub check_runs {
    my (@runs) = @_;
    my %option = @runs && !exists $runs[-1]{run} ? %{ pop @runs } : ();
    my %found = (overlaps => 0, overlap => 0, worst => 0, disorder => 0, excepted => 0, wrong => []);
    my $latest;
    for my $run (@runs) {
        my ($restored) = $latest ? grep { $latest->{first} <= $_ && $run->{last} >= $_ } @{ $option{restored} // [] } : ();
        if (defined $restored) {
            if ($run->{first} <= $latest->{last} && $latest->{last} <= $restored + 4) {
                $found{excepted}++;
                undef $latest;
            } else {
                $latest->{token} = 0;
            }
        }
        if ($latest && $run->{first} <= $latest->{last}) {
            my $until = $run->{last} < $latest->{last} ? $run->{last} : $latest->{last};
            my $overlap = $until - $run->{first};
            $found{overlaps}++;
            $found{overlap} += $overlap;
            $found{worst} = $overlap if $overlap > $found{worst};
            push @{ $found{wrong} }, sprintf '%s (token %s) started %.3f s before %s (token %s) had ended', $run->{run},
                $run->{token}, $latest->{last} - $run->{first}, $latest->{run}, $latest->{token};
        }
        next if $option{careless} && $run->{run} =~ $option{careless};
        if ($latest && $run->{token} && $run->{token} <= $latest->{token}) {
            $found{disorder}++;
            push @{ $found{wrong} }, "token $run->{token} of $run->{run} came after token $latest->{token}";
        }
        $latest = $run if !$latest || $run->{last} > $latest->{last};
    }
    return \%found;
}

1;
