# The main job: acquire, run, release; every exit code; what the command sees.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
etcd_start();
my $key = '/run';

sub clean {
    my ($name) = @_;
    is_deeply [keys_left($key)], [], "$name: no key is left";
    is_deeply [leases_left()], [], "$name: no lease is left";
}

{
    my $run = run_locker(['-k', $key, '--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
    is $run->{code}, 7, "the command's exit code is ours";
    is $run->{stdout}, "out\n", "its stdout is ours";
    is $run->{stderr}, "err\n", 'and nothing is said on stderr';
    clean('after exit 7');
}

{
    my @wrong = grep {
        my $run = run_locker(['-k', $key, 'sh', '-c', "exit $_"]);
        $run->{code} != $_;
    } 0, 1, 2, 3, 4, 64, 126, 127, 128, 255;
    is_deeply \@wrong, [], 'exit codes pass unchanged';
}

for my $signal (qw(TERM KILL SEGV)) {
    my %number = (TERM => 15, KILL => 9, SEGV => 11);
    my $run = run_locker(['-k', $key, '--', 'sh', '-c', "ulimit -c 0; kill -$signal \$\$"]);
    is $run->{code}, 128 + $number{$signal}, "a command killed by $signal gives 128+$number{$signal}";
    like $run->{stderr}, qr/killed by signal $signal\n\z/, 'and it is said';
}

{
    my $run = run_locker(['-k', $key, '--', '/nonexistent/command']);
    is $run->{code}, 3, 'a command that is not there gives 3';
    like $run->{stderr}, qr{cannot start '/nonexistent/command': executing it: No such file or directory},
        'with the stage and the errno';
    spew("$dir/plain", "text\n");
    $run = run_locker(['-k', $key, '--', "$dir/plain"]);
    is $run->{code}, 3, 'one that is not executable gives 3';
    like $run->{stderr}, qr/Permission denied/, 'with the errno';
    clean('after a failed start');
}

{
    my $run = run_locker(['-k', $key, '-i', 'me', '--', 'sh', '-c',
        'echo "$ETCD_LOCK_REV $ETCD_LOCK_OWNER_KEY $ETCD_LOCK_CREATE_REV"']);
    like $run->{stdout}, qr{^([1-9]\d*) $key/[0-9a-f]+ \1$}, 'the fencing token, our key and its create revision';
    my ($first) = $run->{stdout} =~ /^(\d+)/;
    $run = run_locker(['-k', $key, '--', 'sh', '-c', 'echo $ETCD_LOCK_REV']);
    cmp_ok $run->{stdout}, '>', $first, 'the token grows with every acquisition';
}

{
    my $script = "$dir/show";
    my $owner = start_locker(['-k', $key, '-i', 'who we are', '--', 'sh', '-c', "echo > $script; exec sleep 60"]);
    wait_until(sub { -e $script }, 10, 'the command to run');
    like etcdctl('get', '--prefix', '--print-value-only', "$key/"), qr/^who we are$/m, 'the id is the value of our key';
    my $run = run_locker(['-k', $key, '--try', '--', 'true']);
    is $run->{code}, 1, '--try gives 1 while somebody else holds it';
    like $run->{stderr}, qr{^etcdlocker: lock $key not acquired: held by who we are$}m, 'and names the holder';
    $run = run_locker(['-k', $key, '-w', '200ms', '-E', '75', '--', 'true']);
    is $run->{code}, 75, '-w gives up with the code of -E';
    cmp_ok $run->{seconds}, '>=', 0.2, 'not before its time';
    like $run->{stderr}, qr/still after 200ms/, 'and says so';
    $run = run_locker(['-k', "$key/nested", '--try', '--', 'true']);
    is $run->{code}, 0, 'a nested lock name is another lock';
    $run = run_locker(['-k', $key, '--try', '--', 'true'], env => { ETCD_LOCK_ID => 'who we are' });
    is $run->{code}, 1, 'one id on both sides is no key to the lock';
    signal_process($owner, 'TERM');
    is finish($owner), 143, 'TERM to us gives 143';
    is $owner->{stderr}, "etcdlocker: ended by signal TERM\n", 'in one line';
    clean('after TERM');
}

{
    my $owner = start_locker(['-k', $key, '--', 'sh', '-c', "trap 'echo TERM; exit 0' TERM; echo ready; while :; do sleep 0.1; done"]);
    wait_until(sub { slurp($owner->{out}) =~ /ready/ }, 10, 'the command to run');
    signal_process($owner, 'TERM');
    is finish($owner), 143, 'told to end: 143, whatever the command exits with';
    like $owner->{stdout}, qr/^TERM$/m, 'the command got the signal itself';
}

{
    my $owner = start_locker(['-k', $key, '-g', '200ms', '--', 'sh', '-c', "trap '' TERM; echo ready; while :; do sleep 0.1; done"]);
    wait_until(sub { slurp($owner->{out}) =~ /ready/ }, 10, 'the command to run');
    signal_process($owner, 'TERM');
    is finish($owner), 143, 'a command that ignores TERM is killed after the grace, and the code stays 143';
    clean('after the grace');
    $owner = start_locker(['-v', '-k', $key, '-t', 200, '-g', '60s', '--', 'sh', '-c', "trap '' TERM; echo ready; while :; do sleep 0.1; done"]);
    wait_until(sub { slurp($owner->{out}) =~ /ready/ }, 10, 'the command to run');
    signal_process($owner, 'TERM');
    wait_until(sub { slurp($owner->{err}) =~ /got signal TERM/ }, 10, 'the first signal to be seen');
    # Within a second it is the same one.
    wait_until(sub { 0 }, 1.2);
    signal_process($owner, 'TERM');
    is finish($owner), 143, 'a second stop signal does not wait for the grace';
    clean('after the second signal');
}

{
    my $first = start_locker(['-k', $key, '--', 'sleep', '60']);
    wait_until(sub { keys_left($key) == 1 }, 10, 'the first to hold it');
    for my $signal (qw(TERM INT HUP QUIT)) {
        my %number = (TERM => 15, INT => 2, HUP => 1, QUIT => 3);
        my $second = start_locker(['-k', $key, '--', 'true']);
        wait_until(sub { keys_left($key) == 2 }, 10, 'the second to wait');
        signal_process($second, $signal);
        is finish($second), 128 + $number{$signal}, "$signal while waiting ends it: 128+$number{$signal}";
        is scalar(keys_left($key)), 1, 'and its place in the queue is gone';
    }
    signal_process($first, 'INT');
    is finish($first), 130, 'INT gives 130';
    clean('after the queue');
}

{
    my $run = run_locker(['-k', $key, '--', 'sh', '-c', "(trap '' TERM HUP; sleep 60) & setsid sleep 60 & exit 5"], seconds => 15);
    is $run->{code}, 5, "the command's code, though it left processes behind";
    cmp_ok $run->{seconds}, '<', 15, 'which were ended';
    clean('after what was left behind');
}

done_testing;
