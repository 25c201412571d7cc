# The real code under simulation: fresh seeds, those that were kept, and the same seed twice.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

my $sim = "$ENV{BUILD_DIR}/t/sim/sim";
my $seconds = $ENV{SIM_SECONDS} // 20;

{
    # It takes all the processors that it gets; others have leases to keep meanwhile.
    my $run = run(['nice', '-n', '15', $sim, '--seconds', $seconds], seconds => 10 * $seconds + 600);
    is $run->{code}, 0, 'fresh seeds find nothing' or diag substr($run->{stdout}, -20_000);
    like $run->{stdout}, qr/^seeds from \d+ on\n\d+ runs, [1-9]\d* acquisitions, /, 'and say how many they were';
    note $run->{stdout};
}
for my $line (split /\n/, slurp("$ENV{SOURCE_DIR}/t/sim/kept")) {
    my ($seed, $without) = $line =~ /^(\d+)(?: (\S+))?/ or next;
    my $run = run([$sim, '--seed', $seed, '--no-history', defined $without ? ('--without', $without) : ()], seconds => 150);
    is $run->{code}, 0, "kept: $line" or diag $run->{stdout};
}
{
    my @runs = map { run([$sim, '--seed', 7], seconds => 150) } 1, 2;
    cmp_ok length $runs[0]{stdout}, '>', 10_000, 'a seed has a history';
    ok $runs[0]{stdout} eq $runs[1]{stdout}, 'and the same one, byte for byte';
}
done_testing();
