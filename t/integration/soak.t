# The short form of t/soak: never two, under everything that a nemesis can think of in half a minute; and the checker is
# seen to fail with a tool that is not ours.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
plan skip_all => 'not root: the soak needs network namespaces' if $> != 0;
my $trial = "eltest$$";
plan skip_all => 'no network namespaces: install iproute2, and be allowed to make them'
    if system("ip netns add $trial 2>/dev/null") != 0;
my $linked = system("ip -n $trial link add br0 type bridge 2>/dev/null && ip -n $trial link add va type veth peer name vb 2>/dev/null") == 0;
system('ip', 'netns', 'del', $trial);
plan skip_all => 'no bridge, or no veth, to be had in a network namespace: this kernel has none, or they must not be made' if !$linked;

for my $seed (11, 12) {
    my $soak = run([$^X, "$ENV{SOURCE_DIR}/t/soak", '--seconds', 25, '--seed', $seed], seconds => 150);
    is $soak->{code}, 0, "never two, with seed $seed" or diag join "\n", (reverse split /\n/, $soak->{stdout}), $soak->{stderr};
}
# etcdctl's command runs on when its lock is lost: sooner or later that shows.
my $caught;
for my $seed (1 .. 3) {
    my $soak = run([$^X, "$ENV{SOURCE_DIR}/t/soak", '--seconds', 30, '--seed', $seed, '--contender', 'etcdctl'], seconds => 150);
    $caught = $soak->{stdout} =~ /^overlaps: [1-9]/m and last;
}
ok $caught, 'the checker catches etcdctl lock';

done_testing;
