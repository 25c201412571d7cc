# What is said, at default verbosity and with -v, to those who run it.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
my $etcd = etcd_start();
my $key = '/words';
my $count = 0;

# A holder whose command runs until its file is gone.
sub hold {
    my (@arguments) = @_;
    my $file = "$dir/on" . ++$count;
    my $owner = start_locker(['-k', $key, @arguments, '--', 'sh', '-c', "echo on > $file; while [ -e $file ]; do sleep 0.05; done; exit 42"]);
    $owner->{file} = $file;
    ok wait_until(sub { -e $file }, 20), 'a holder runs' or diag slurp($owner->{err});
    return $owner;
}

sub release { my ($owner, $name) = @_; unlink $owner->{file}; is finish($owner, 30), 42, $name or diag $owner->{stderr}; return }

# --- who waits, where stderr is no terminal ---

{
    my $owner = hold('-i', 'web-1', '-v');
    my $waiter = start_locker(['-k', $key, '--', 'true']);
    ok wait_until(sub { slurp($waiter->{err}) =~ m{^etcdlocker: waiting for $key: held by web-1, 1 ahead of us$}m }, 10), 'a waiter says for whom it waits';
    my $second = start_locker(['-k', $key, '-i', 'web-2', '--', 'true']);
    wait_until(sub { keys_left($key) == 3 }, 10, 'another waiter');
    is run_locker(['-k', $key, '--try', '-E', 0, '--', 'true'])->{stderr}, '', 'who does not wait at all says nothing of that';
    release($owner, 'the holder ends');
    is finish($_), 0, 'one after the other runs' for $waiter, $second;
    is(() = $waiter->{stderr} =~ /waiting/g, 1, 'it was said once');
    is(() = $second->{stderr} =~ /waiting/g, 1, 'by the other one, too, whose place has moved');
    like slurp($owner->{err}), qr/lock $key acquired at revision \d+$/m, '-v says so when it is acquired';
    like slurp($owner->{err}), qr/lock $key released$/m, 'and when it is released';
}

# --- renewals that fail ---

{
    my $owner = hold('-t', 20, '-r', 1, '-g', '1s');
    kill 'STOP', $etcd->{pid};
    ok wait_until(sub { slurp($owner->{err}) =~ /^etcdlocker: lock $key: not renewed for \S+s, and given up in \S+s: http:\S+ no answer within/m }, 15), 'that renewals fail is said: since when, until when, why';
    kill 'CONT', $etcd->{pid};
    ok wait_until(sub { slurp($owner->{err}) =~ /^etcdlocker: lock $key: renewed again$/m }, 15), 'and that they work again';
    release($owner, 'the lock was never lost');
    is(() = $owner->{stderr} =~ /not renewed/g, 1, 'each is said once');
}

# --- a release that does not work ---

{
    my $owner = hold('-v', '-t', 4, '-r', 1, '-g', '500ms');
    kill 'STOP', $etcd->{pid};
    is finish($owner, 20), 2, 'a lock that is lost';
    unlike $owner->{stderr}, qr/lock $key released|\(released\)/, 'is not called released';
    kill 'CONT', $etcd->{pid};
    wait_until(sub { !keys_left($key) }, 10, 'its lease to end');
}

# --- a pause beyond the lease: of all of us, as of a machine that sleeps ---

{
    my @wrong;
    for (1 .. 4) {
        my $owner = hold('-t', 3, '-r', 1, '-g', '300ms');
        my @all = ($owner->{pid}, family_of($owner));
        kill 'STOP', @all;
        # The kernel's own timer ends the supervisor by then.
        wait_until(sub { !alive($all[1]) }, 10, 'the end of the supervisor');
        kill 'CONT', @all;
        push @wrong, $owner->{stderr} if finish($owner) != 2 || $owner->{stderr} =~ /killed by signal/ || $owner->{stderr} !~ /lock $key lost/;
    }
    is_deeply \@wrong, [], 'stopped beyond the lease: it is lost, and nobody was "killed by signal 9"';
}

# --- nested ---

{
    my $nested = run_locker(['-k', $key, '--', $locker, '-e', etcd_endpoint(), '-k', $key, '--', 'true']);
    is $nested->{code}, 1, 'within itself, for the same key: not acquired';
    like $nested->{stderr}, qr/lock $key not acquired: the etcdlocker that runs us holds it itself/, 'and it says why';
    is_deeply [keys_left($key)], [], 'nothing is left';
    is run_locker(['-k', $key, '--', $locker, '-e', etcd_endpoint(), '-k', "$key/inner", '--', 'sh', '-c', 'exit 7'])->{code}, 7, 'for another one it is fine';
    my $within = run([etcdctl_cmd('lock', $key, 'sh', spew("$dir/within", "exec $locker -e " . etcd_endpoint() . " true\n"))]);
    like $within->{stderr} . $within->{stdout}, qr/no key: ETCD_LOCK_KEY=\S+ is what "etcdctl lock" around us tells of its own/, 'within etcdctl lock, whose variable has our name';
}

# --- what is left behind ---

{
    my $daemon = run_locker(['-k', $key, '--', 'sh', '-c', 'sleep 100 & sleep 100 & exit 3']);
    is $daemon->{code}, 3, 'a command that has put something into the background: its own code';
    like $daemon->{stderr}, qr/\Aetcdlocker: the command has ended and left process \d+ \(\w+\) and 1 more behind, which gets TERM: .*setsid -w.*\n\z/, 'what is ended is said, in one line';
    my $told = start_locker(['-k', $key, '--', 'sh', '-c', 'sleep 100 & echo ready; sleep 100']);
    wait_until(sub { slurp($told->{out}) =~ /ready/ }, 10, 'the command');
    kill 'TERM', $told->{pid};
    is finish($told), 143, 'one that was told to end';
    like $told->{stderr}, qr/\Aetcdlocker: ended by signal TERM\n\z/, 'is expected to leave something';
}

# --- signals for a whole group ---

{
    my $script = start_locker(['-k', $key, '--group', '-t', 200, '-g', '60s', '--', 'bash', '-c', 'trap "echo cleaned; exit 5" TERM; echo ready; sleep 100']);
    wait_until(sub { return if slurp($script->{out}) !~ /ready/; my ($shell) = (family_of($script))[2]; my @below = $shell ? children_of($shell) : (); return scalar @below }, 10, 'the script and its sleep');
    kill 'TERM', $script->{pid};
    is finish($script, 30), 143, '--group: the signal ends the sleep that the shell waits for';
    like $script->{stdout}, qr/^cleaned$/m, 'so that its trap runs at once';
}

# --- tries that fail ---

{
    my $port = free_port();
    my $run = run([$locker, '-v', '-e', "127.0.0.1:$port", '--connect-timeout', '3s', '-k', $key, '--', 'true'], seconds => 20);
    is $run->{code}, 1, 'nobody listens: 1';
    cmp_ok scalar(() = $run->{stderr} =~ /127\.0\.0\.1:$port: .*; next try in [0-9.]+m?s$/mg), '>=', 3, '-v says every try that fails, and when the next one is' or diag $run->{stderr};
    like $run->{stderr}, qr/no answer from etcd for 3s: .*127\.0\.0\.1:$port/, 'and why none is made any more';
}

# --- the first example keeps the status of its command ---

{
    my ($script) = slurp("$ENV{SOURCE_DIR}/README") =~ m{-k /cron/report --try -E 0 -- sh -c '([^']*)'};
    system 'mkdir', '-p', "$dir/bin";
    chmod 0755, spew("$dir/bin/$_->[0]", "#!/bin/sh\nexit $_->[1]\n") for ['make-report', 7], ['sleep', 0];
    is run_locker(['-k', $key, '--try', '-E', 0, '--', 'sh', '-c', $script], env => { PATH => "$dir/bin:$ENV{PATH}" })->{code}, 7, 'cron sees that the job has failed';
}

# --- few descriptors ---

for my $case (['--try'], ['--ping'], ['-n']) {
    # Beside those that a test's harness leaves open.
    my $least = run(['sh', '-c', "ulimit -n 8; exec $locker -e 127.0.0.1:1 -k $key -- true"])->{stderr} =~ /ulimit -n (\d+) would do/ ? $1 : 0;
    cmp_ok $least, '>', 8, 'too few descriptors: it is said how many would do';
    my $run = run(['sh', '-c', "ulimit -n $least; exec $locker -e " . etcd_endpoint() . " -k $key @$case -- sh -c 'exit 7'"], env => { ETCD_LOCK_NODE => 'env' });
    is $run->{code}, 7, "@$case: so many do" or diag $run->{stderr};
}

# --- where node is ---

{
    my $home = "$dir/home";
    system 'mkdir', '-p', "$home/.nvm/versions/node/v20.1.0/bin";
    my $node = spew("$home/.nvm/versions/node/v20.1.0/bin/node", "#!/bin/sh\necho found; exit 0\n");
    chmod 0755, $node;
    my $run = run(['env', '-i', 'PATH=/nowhere', "HOME=$home", $locker, '-e', etcd_endpoint(), '-k', $key, '-n', '--', 'module.js']);
    is $run->{stdout}, "found\n", 'node is looked for where nvm has it';
    $run = run(['env', '-i', 'PATH=/nowhere', 'ETCD_LOCK_NODE=/nowhere/node', $locker, '-e', etcd_endpoint(), '-k', $key, '-n', '--', 'module.js']);
    is $run->{code}, 3, 'where it is not there';
    like $run->{stderr}, qr{cannot start '/nowhere/node': .*; ETCD_LOCK_NODE=/path/to/node says where it is}, 'the variable is named';
}

done_testing;
