# The dead man's switch once more, without a cgroup: what t/integration/sentinel.t shows must not depend on one.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

plan skip_all => 'not root: no mount namespace to be had' if $> != 0 || system('unshare -m true 2>/dev/null') != 0;
my ($mount) = slurp('/proc/self/mountinfo') =~ m{^\S+ \S+ \S+ / (\S+) .* - cgroup2 }m;
plan skip_all => 'no cgroup v2 is mounted: sentinel.t runs without one' if !defined $mount;

# The same process in the end: each word replaces the one before.
my $wrapper = spew("$dir/nocgroup", "#!/bin/sh\nexec unshare -m sh -c 'umount -l $mount 2>/dev/null; exec \"\$@\"' sh $locker \"\$@\"\n");
chmod 0755, $wrapper;
my $run = run([$wrapper, '-v', '-e', '127.0.0.1:1', '-k', '/k', '--connect-timeout', '100ms', 'true']);
like $run->{stderr}, qr/no cgroup of our own/, 'there is no cgroup to use';
$Etcdlocker::Test::locker = $locker = $wrapper;
do "$ENV{SOURCE_DIR}/t/integration/sentinel.t" or die $@ || $!;
