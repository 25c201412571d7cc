# --restart and --relock: an end of the command, or a loss, that is not our end. And --rewrite-signal.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
my $etcd = etcd_start();
my $key = '/stay';
my $count = 0;

# Starts a holder whose command adds a line to a file each time it runs: the token, then what BODY does.
sub stay {
    my ($body, @arguments) = @_;
    my $file = "$dir/runs" . ++$count;
    my $owner = start_locker(['-v', '-k', $key, '-t', 5, @arguments, '--', 'sh', '-c', "echo \$ETCD_LOCK_REV >> $file; n=\$(wc -l < $file); $body"]);
    $owner->{file} = $file;
    return $owner;
}

sub runs { my ($owner) = @_; return split /\n/, slurp($owner->{file}) }
sub await_runs { my ($owner, $wanted) = @_; return wait_until(sub { runs($owner) >= $wanted }, 20, "$wanted runs") }
my $wait = 'while :; do sleep 0.05; done';

{
    my $owner = stay('if [ $n -lt 3 ]; then kill -9 $$; exit 7; fi; exit 0', '--restart');
    my $waiter = start_locker(['-k', $key, '--', 'true']);
    is finish($owner), 0, '--restart: killed twice, then it ends well';
    my @tokens = runs($owner);
    is scalar @tokens, 3, 'it ran three times';
    is_deeply [@tokens[1, 2]], [@tokens[0, 0]], 'under one and the same lock';
    like $owner->{stderr}, qr/the command was killed by signal KILL; starting it again in /, 'and that is said';
    is finish($waiter), 0, 'then others have their turn';
    is stay_code('exit 5'), 5, 'without it there is one run';
    $owner = stay("trap '' TERM; (setsid sleep 30 &) ; [ \$n = 1 ] && exit 7; exit 0", '--restart', '-g', '0.2');
    is finish($owner), 0, 'what it leaves behind is killed before the next run';
}

sub stay_code { my $owner = stay(@_); return finish($owner) }

{
    my $owner = stay("[ \$n = 1 ] && exit 0; $wait", '--restart=always');
    ok await_runs($owner, 2), '--restart=always: after a good end, too';
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'a stop signal ends it';
    is_deeply [keys_left($key)], [], 'nothing is left';

    $owner = stay('exit 3', '--restart');
    await_runs($owner, 1);
    wait_until(sub { slurp($owner->{err}) =~ /PAUSING/ }, 10, 'the pause');
    kill 'INT', $owner->{pid};
    is finish($owner), 130, 'also in the pause';
    is_deeply [keys_left($key)], [], 'nothing is left';

    $owner = stay($wait, '--restart=always');
    await_runs($owner, 1);
    etcdctl('del', '--prefix', "$key/");
    is finish($owner), 2, 'a loss is the end all the same';
}

# What comes while a command that is to be started again is swept up after is our end all the same.
sub in_sweep {
    my ($code, @arguments) = @_;
    my $owner = stay("trap '' TERM; (setsid sleep 30 &); exit $code", @arguments, '-t', 20, '-r', 2, '-g', '8s');
    wait_until(sub { slurp($owner->{err}) =~ /-> SWEEPING/ }, 10, 'the sweep');
    return $owner;
}

{
    my $owner = in_sweep(7, '--restart');
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'TERM in the sweep: 143';
    like $owner->{stderr}, qr/: ended by signal TERM$/m, 'and said';
    is scalar(runs($owner)), 1, 'it is not started again';

    $owner = in_sweep(7, '--relock');
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, '--relock: the same';

    $owner = in_sweep(7, '--restart');
    kill 'HUP', $owner->{pid};
    is finish($owner), 129, 'HUP, too, where there is no command to pass it on to';

    $owner = in_sweep(0, '--restart=always');
    etcdctl('del', '--prefix', "$key/");
    is finish($owner), 2, 'lost in the sweep: 2';
    like $owner->{stderr}, qr/lock \/stay lost: its key \S+ is gone/, 'and said';

    $owner = in_sweep(7, '--restart');
    my ($supervisor) = children_of($owner->{pid});
    kill 'KILL', $owner->{pid};
    ok wait_until(sub { !alive($supervisor) }, 15), 'the main process killed in the sweep: the supervisor ends';
    is scalar(runs($owner)), 1, 'and starts nothing';
    finish($owner);
    wait_until(sub { !keys_left($key) }, 20, 'the lock to be free');

    # No room is left for the next run: the deadline less the grace has passed.
    $owner = stay("trap '' TERM; (setsid sleep 30 &); exit 7", '--restart', '-t', 8, '-r', 1, '-g', '5s');
    wait_until(sub { slurp($owner->{err}) =~ /-> SWEEPING/ }, 10, 'the sweep');
    kill 'STOP', $etcd->{pid};
    is finish($owner), 2, 'expiring in the sweep: 2';
    is scalar(runs($owner)), 1, 'it is not started again';
    kill 'CONT', $etcd->{pid};
    wait_until(sub { !keys_left($key) }, 20, 'the lock to be free');

    $owner = stay("trap '' TERM; $wait", '--restart', '--ping', '--ping-start', '300ms', '-g', '5s', '-t', 20, '-r', 2);
    wait_until(sub { slurp($owner->{err}) =~ /-> TERMINATING/ }, 10, 'the ping to fail');
    kill 'TERM', $owner->{pid};
    wait_until(sub { slurp($owner->{err}) =~ /got signal TERM/ }, 10, 'the signal');
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'TERM while one that did not answer is ended: 143';

    $owner = stay('exit 3', '--restart');
    wait_until(sub { slurp($owner->{err}) =~ /PAUSING/ }, 10, 'the pause');
    kill 'HUP', $owner->{pid};
    is finish($owner), 129, 'HUP ends it in the pause';
}

{
    my $owner = stay($wait, '--relock');
    await_runs($owner, 1);
    my $waiter = start_locker(['-k', $key, '-t', 5, '--', 'sh', '-c', "echo \$ETCD_LOCK_REV > $dir/between; sleep 1"]);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter');
    my ($first) = sort { $a->[1] <=> $b->[1] } map { [$_, etcdctl('get', $_, '-w', 'fields') =~ /"CreateRevision" : (\d+)/] } keys_left($key);
    etcdctl('del', $first->[0]);
    ok await_runs($owner, 2), '--relock: after a loss it waits, and runs again';
    my @tokens = runs($owner);
    is finish($waiter), 0, 'the one that waited had its turn';
    my ($between) = slurp("$dir/between") =~ /(\d+)/;
    ok $tokens[0] < $between && $between < $tokens[1], 'between the two';
    like slurp($owner->{err}), qr/lost: [^\n]*; waiting for the lock again in /, 'that is said';
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'a stop signal ends it';
    is_deeply [keys_left($key)], [], 'nothing is left';
}

{
    my $owner = stay("[ \$n = 1 ] && exit 0; $wait", '--relock');
    ok await_runs($owner, 2), "--relock: after the command's end, too";
    my @tokens = runs($owner);
    cmp_ok $tokens[1], '>', $tokens[0], 'with the lock taken anew';
    etcd_stop($etcd, 'KILL');
    wait_until(sub { slurp($owner->{err}) =~ /RESTING/ && slurp($owner->{err}) =~ /could not be renewed/ }, 20, 'the loss');
    is scalar(runs($owner)), 2, 'etcd is gone: nothing runs';
    $etcd = etcd_start(%$etcd{qw(port peer data)});
    ok await_runs($owner, 3), 'etcd is back: it runs again';
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'a stop signal ends it';

    $owner = stay('exit 1', '--relock');
    wait_until(sub { slurp($owner->{err}) =~ /RESTING/ }, 10, 'the pause');
    is_deeply [keys_left($key)], [], 'in the pause the lock is free';
    kill 'HUP', $owner->{pid};
    is finish($owner), 129, 'HUP ends it there, as while it waits';

    $owner = stay('exit 1', '--relock');
    wait_until(sub { slurp($owner->{err}) =~ /RESTING/ }, 10, 'the pause');
    my @supervisor = children_of($owner->{pid});
    kill 'KILL', $owner->{pid};
    finish($owner);
    ok wait_until(sub { !grep { alive($_) } @supervisor }, 10), 'killed in the pause: nothing of it stays';

    my $run = run_locker(['-k', $key, '-e', '127.0.0.1:' . free_port(), '--connect-timeout', '300ms', '--relock', '--', 'true']);
    is $run->{code}, 1, 'an etcd that was never there is an error at once';
    $run = run_locker(['-k', $key, '--relock', '--restart=always', '--', '/nonexistent']);
    is $run->{code}, 3, 'and so is a command that is not there';
}

{
    # Each run has what the first one had.
    my $file = spew("$dir/inherited", "line 1\nline 2\n");
    open my $in, '<', $file or die;
    fcntl $in, Fcntl::F_SETFD(), 0;
    mkdir "$dir/there";
    my $number = fileno $in;
    my $owner = start_locker(['-k', $key, '--restart', '--', 'sh', '-c', "pwd >> $dir/pwd; echo \"\$(readlink /proc/self/fd/$number)\" >> $dir/fds; [ \$(wc -l < $dir/pwd) = 2 ]"],
        before => sub { chdir "$dir/there" });
    is finish($owner), 0, 'a second run';
    is slurp("$dir/pwd"), "$dir/there\n" x 2, 'is in the same directory';
    is slurp("$dir/fds"), "$file\n" x 2, 'and has the same descriptors';
    close $in;
}

{
    my $names = 'for my $n (qw(TERM QUIT HUP USR1 USR2)) { $SIG{$n} = sub { print "$n\n"; exit 0 if $n eq "QUIT" } } $| = 1; print "on\n"; sleep 1 while 1';
    my $owner = start_locker(['-k', $key, '--rewrite-signal', 'TERM=QUIT', '--rewrite-signal=USR1=USR2', '--rewrite-signal', 'hup=0', '--', $^X, '-e', $names]);
    wait_until(sub { slurp($owner->{out}) =~ /on/ }, 10, 'the command');
    kill $_, $owner->{pid} for 'HUP', 'USR1';
    wait_until(sub { slurp($owner->{out}) =~ /USR2/ }, 10, 'USR2');
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, '--rewrite-signal: our end is that of the signal that came';
    is $owner->{stdout}, "on\nUSR2\nQUIT\n", 'and the command gets what was asked for';
    for my $bad ('TERM', 'TERM=', '=TERM', 'KILL=TERM', 'CHLD=TERM', 'NOPE=TERM', 'TERM=NOPE') {
        my $run = run([$locker, '-k', $key, '--rewrite-signal', $bad, '--', 'true']);
        is $run->{code}, 64, "$bad is refused";
    }
    is run([$locker, '-k', $key, '--restart=maybe', '--', 'true'])->{code}, 64, '--restart=maybe, too';
}

ok wait_until(sub { keys_left($key) == 0 && leases_left() == 0 }, 20), 'nothing is left in etcd';
done_testing;
