# The command's cgroup: made where there is one of ours to make it in, killed as a whole, and removed.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
my ($mount) = slurp('/proc/self/mountinfo') =~ m{^\S+ \S+ \S+ / (\S+) .* - cgroup2 }m;
my ($own) = slurp('/proc/self/cgroup') =~ /^0::(.*)$/m;
plan skip_all => 'no cgroup v2 is mounted' if !defined $mount || !defined $own;
my $trial = "$mount$own/eltest$$";
plan skip_all => "cannot make a cgroup below $mount$own" if $> != 0 || $own ne '/' || !mkdir $trial;
my $can_kill = -e "$trial/cgroup.kill";
rmdir $trial;
plan skip_all => 'this kernel (< 5.14) has no cgroup.kill' if !$can_kill;

etcd_start();
my $key = '/cgroup';

sub ours { return grep { -d } map { "$mount$own/etcdlocker.$_->{pid}" } @_ }

{
    my $run = run_locker(['-k', $key, '--', 'cat', '/proc/self/cgroup']);
    like $run->{stdout}, qr{^0::/etcdlocker\.\d+$}m, 'the command is in a cgroup of its own';
    is_deeply [ours($run)], [], 'which is removed';
}

SKIP: {
    skip 'no namespaces to be had', 4 if system('unshare -m -C -p -f --mount-proc true 2> /dev/null') != 0;
    # Two that are PID 1 in one and the same cgroup, which is a root for them, want the same name there.
    my $place = "$mount$own/eltest-shared$$";
    mkdir $place or die "$place: $!";
    my @both = map { my $n = $_; start(['unshare', '-m', '-C', '-p', '-f', '--mount-proc', '--kill-child', 'sh', '-c', "umount -l $mount && mount -t cgroup2 none $mount && exec \"\$@\"", 'sh',
        $locker, '-v', '-e', etcd_endpoint(), '-k', "/pid1/$n", '-g', '100ms', '--', 'sh', '-c', "trap '' TERM; echo on; while :; do sleep 0.05; done"],
        before => sub { spew("$place/cgroup.procs", $$) }) } 1, 2;
    wait_until(sub { slurp($_->{out}) =~ /on/ }, 10, 'a command') for @both;
    is scalar(grep { slurp($_->{err}) =~ /no cgroup of our own/ } @both), 0, 'each has one all the same';
    my ($one, $other) = @both;
    kill 'TERM', children_of($one->{pid});
    is finish($one), 143, 'one is killed';
    ok !wait_until(sub { !alive($other->{pid}) }, 0.3), 'which does not kill the other';
    kill 'TERM', children_of($other->{pid});
    finish($other);
    ok wait_until(sub { rmdir $place }, 5), 'and nothing is left there';
}

{
    # Each of them starts another one and ends: none is ever seen for long.
    my $chain = spew("$dir/chain.sh", 'trap "" TERM; echo >> "$1"; setsid sh "$0" "$1" "$2" & exit 0');
    my $owner = start_locker(['-k', $key, '-g', '100ms', '--', 'sh', '-c', "sh $chain $dir/links & sleep 300"]);
    ok wait_until(sub { (-s "$dir/links" // 0) > 20 }, 10), 'processes that run away';
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'TERM: 143';
    my $size = -s "$dir/links";
    select undef, undef, undef, 0.2;
    is -s "$dir/links", $size, 'none got away';
    is_deeply [ours($owner)], [], 'and the cgroup is removed';
    is_deeply [keys_left($key)], [], 'the lock is free';
}

{
    my $sub = 'cg=' . "$mount" . '$(sed -n s/^0:://p /proc/self/cgroup); mkdir -p $cg/deep/er && echo made';
    my $run = run_locker(['-k', $key, '--', 'sh', '-c', $sub]);
    is $run->{stdout}, "made\n", 'the command makes cgroups of its own';
    is_deeply [ours($run)], [], 'which are removed with ours';
}

{
    my $owner = start_locker(['-k', $key, '-t', 3, '--', 'sh', '-c', "setsid sh -c 'while :; do echo >> $dir/beats; sleep 0.02; done' & sleep 300"]);
    wait_until(sub { -s "$dir/beats" }, 10, 'the command to run');
    my ($supervisor, $keeper) = family_of($owner);
    # All of us, the keeper before the others, for it would kill the rest: the command's own process dies with it.
    kill 'STOP', $supervisor, $owner->{pid};
    kill 'KILL', $keeper, $supervisor, $owner->{pid};
    finish($owner);
    my ($left) = ours($owner);
    ok $left, 'all of us killed: what is left is in one place';
    my $other = start_locker(['-v', '-k', "$key/other", '--', 'sh', '-c', 'echo on; sleep 300']);
    wait_until(sub { slurp($other->{out}) =~ /on/ }, 10, 'another command');
    my $size = -s "$dir/beats";
    ok !wait_until(sub { -s "$dir/beats" > $size }, 0.3), 'the next etcdlocker on this machine has killed it';
    my $next = run_locker(['-k', "$key/next", '--', 'true']);
    ok !-d $left, 'and one that ends has removed it';
    is_deeply [scalar ours($other)], [1], 'what has an owner is left alone';
    kill 'TERM', $other->{pid};
    is finish($other), 143, 'and ends as it should';
}

done_testing;
