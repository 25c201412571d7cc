# As a container's ENTRYPOINT: podman with runc, on the root file system that $CONTAINER_ROOT names, where etcdlocker is
# installed; and where $STATIC names the static program, in images with nothing else in them and in those of others.
# t/release and t/static make one and run this; it is no part of "make check".
use strict;
use warnings;
use Etcdlocker::Terminal;
use Etcdlocker::Test;
use File::Copy qw(copy);
use File::Path qw(make_path);
use Test::More;

my $root = $ENV{CONTAINER_ROOT} // '';
plan skip_all => 'no root file system with etcdlocker: t/release and t/static make one' if !-x "$root/usr/bin/etcdlocker";
plan skip_all => 'no podman: install podman and runc' if (eval { run(['podman', '--version'])->{code} } // 1) != 0;
etcd_need();
etcd_start();

# A place of its own, so that nothing is left in the machine's, not even a mount. Few limits can be raised where we are in a container ourselves.
my @podman = ('podman', '--root', "$dir/store", '--runroot', "$dir/run", '--storage-driver', 'vfs', '--runtime', 'runc', '--cgroup-manager', 'cgroupfs');
my @confined = ('--network', 'host', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000');
my $serial = 0;
my @containers;

sub podman { my (@words) = @_; return run([@podman, @words], seconds => 60) }

sub words_of {
    my ($flags, $arguments, @command) = @_;
    return (@confined, @$flags, '--rootfs', $root, 'etcdlocker', '-e', etcd_endpoint(), @$arguments, '--', @command);
}

# Runs COMMAND to its end in a container with FLAGS, under etcdlocker with ARGUMENTS.
sub contain { return podman('run', '--rm', words_of(@_)) }

# Starts a container in the background, as "podman run" has the words; returns its name.
sub start_container {
    my (@words) = @_;
    my $name = 'container' . ++$serial;
    my $run = podman('run', '-d', '--name', $name, @words);
    BAIL_OUT("no container: $run->{stderr}") if $run->{code} != 0;
    push @containers, $name;
    return $name;
}

sub detach { return start_container(words_of(@_)) }

sub output { my ($name) = @_; my $logs = podman('logs', $name); return $logs->{stdout} . $logs->{stderr} }
sub shows_up { my ($name, $pattern, $seconds) = @_; return wait_until(sub { output($name) =~ $pattern }, $seconds // 20, "$pattern from $name") }
sub code_of { my ($name) = @_; chomp(my $code = podman('wait', $name)->{stdout}); return $code }
sub holder { my ($key) = @_; return run_locker(['-k', $key, '--status'])->{stdout} =~ /holder  (\S+)/ ? $1 : '' }

END { podman('rm', '-f', '-t', 0, @containers) if @containers }

my $count = q{n=0; while :; do n=$((n + 1)); echo $n >> /alive; sleep 0.05; done};

{
    my $run = contain([], ['-k', '/entry'], 'sh', '-c', 'cat /proc/1/comm; exit 7');
    is $run->{code}, 7, "the command's exit code is the container's" or diag $run->{stderr};
    is $run->{stdout}, "etcdlocker\n", 'we are PID 1';
    $run = contain(['--init'], ['-k', '/entry'], 'sh', '-c', '[ "$(cat /proc/1/comm)" != etcdlocker ] && exit 8');
    is $run->{code}, 8, '--init: below another one';
    $run = contain(['--read-only', '--user', '65534'], ['-k', '/entry'], 'sh', '-c', '[ "$(id -u)" = 65534 ] && ! touch /x 2> /dev/null && exit 9');
    is $run->{code}, 9, '--read-only --user: with no rights and nowhere to write';
    $run = contain([], ['-k', '/entry'], '/nonexistent');
    is $run->{code}, 3, 'a command that is not there';
    is_deeply [keys_left('/entry')], [], 'the lock is free';
}

{
    my $leader = detach([], ['-k', '/stop', '-i', 'one', '-g', 2], 'sh', '-c', q{for s in HUP USR1 USR2 WINCH; do trap "echo got $s" $s; done; trap 'echo got TERM; exit 0' TERM
        (setsid sh -c 'trap "" TERM; exec sleep 1000' &); echo ready; while :; do sleep 0.05; done});
    shows_up($leader, qr/^ready$/m);
    my $standby = detach([], ['-k', '/stop', '-i', 'two'], 'sh', '-c', 'echo ready; exec sleep 1000');
    wait_until(sub { keys_left('/stop') == 2 }, 10, 'a standby');
    for my $signal (qw(HUP USR1 USR2 WINCH)) {
        podman('kill', '-s', $signal, $leader);
        ok shows_up($leader, qr/^got $signal$/m), "podman kill -s $signal reaches the command";
    }
    is podman('exec', $leader, 'etcdlocker', '-e', etcd_endpoint(), '-k', '/stop', '--status')->{code}, 0, 'a healthcheck finds a holder';
    unlike output($standby), qr/ready/, 'the standby waits';
    podman('stop', '-t', 20, $leader);
    is code_of($leader), 143, 'podman stop: 143';
    like output($leader), qr/^got TERM\n.*ended by signal TERM$/ms, 'the command was asked, what it left behind was killed';
    ok shows_up($standby, qr/^ready$/m, 5), 'and the standby leads';
    podman('stop', '-t', 20, $standby);
    is code_of($standby), 143, 'it ends in the same way';
    is_deeply [keys_left('/stop')], [], 'the lock is free';
}

{
    my $leader = detach([], ['-k', '/kill', '-t', 5], 'sh', '-c', $count);
    wait_until(sub { keys_left('/kill') == 1 && -s "$root/alive" }, 10, 'a leader');
    my $standby = detach([], ['-k', '/kill', '-t', 5], 'sh', '-c', 'tail -n 1 /alive; sleep 0.3; tail -n 1 /alive');
    wait_until(sub { keys_left('/kill') == 2 }, 10, 'a standby');
    podman('kill', $leader);
    is code_of($leader), 137, 'podman kill: the container is dead at once';
    is code_of($standby), 0, 'when its lease has run out the next one leads';
    like output($standby), qr/^(\d+)\n\g1$/m, 'while nothing of the first one runs';
    unlink "$root/alive";
}

{
    my $leader = detach([], ['-k', '/pause', '-t', 5, '-i', 'one'], 'sh', '-c', $count);
    wait_until(sub { keys_left('/pause') == 1 && -s "$root/alive" }, 10, 'a leader');
    SKIP: {
        skip 'no freezer cgroup to be had', 4 if podman('pause', $leader)->{code} != 0;
        my $standby = detach([], ['-k', '/pause', '-t', 5, '-i', 'two'], 'sleep', 1000);
        ok wait_until(sub { holder('/pause') eq 'two' }, 20), 'podman pause: when the lease has run out another one leads';
        my $last = slurp("$root/alive");
        podman('unpause', $leader);
        is code_of($leader), 2, 'podman unpause: the first one ends, with 2';
        cmp_ok length(slurp("$root/alive")) - length($last), '<=', 2 * 8, 'its command was dead at once';
        is holder('/pause'), 'two', 'and the other one leads on';
    }
}

{
    my $terminal = terminal_start([@podman, 'run', '-it', '--rm', words_of([], ['-k', '/tty'], 'sh', '-c', q{trap 'echo caught; exit 9' INT; tty; echo ready; while :; do sleep 0.05; done})]);
    ok shows($terminal, qr{/dev/(?:pts/\d+|console)\r.*ready\r}s, 'the command'), 'podman run -it: the command has the terminal';
    type($terminal, "\cC");
    ok shows($terminal, qr/caught\r/), 'Ctrl-C reaches it';
    is finish($terminal->{process}), 9, 'which decides what comes of it';
    leave($terminal);
}

sub image {
    my ($name, $folder) = @_;
    my $run = podman('build', '-q', '--isolation', 'chroot', '-t', $name, $folder);
    BAIL_OUT("no image $name: $run->{stderr}") if $run->{code} != 0;
    return;
}

# As Kubernetes' level "restricted" has it.
my @restricted = (@confined, '--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges');
my @static = ('etcdlocker:static', '-e', etcd_endpoint());

if (-x ($ENV{STATIC} // '')) {
    # The last stage of the Dockerfile; what the first one would have made is there.
    my ($stage) = slurp("$ENV{SOURCE_DIR}/contrib/service/Dockerfile.static") =~ /^(FROM scratch\n.*)/ms;
    $stage =~ s/--from=build \///g;
    make_path("$dir/scratch");
    spew("$dir/scratch/Dockerfile", $stage);
    copy($ENV{STATIC}, "$dir/scratch/etcdlocker") && chmod(0755, "$dir/scratch/etcdlocker") or die;
    copy("$ENV{STATIC}.licences", "$dir/scratch/etcdlocker.licences") or die;
    image('etcdlocker:static', "$dir/scratch");

    my $run = podman('run', '--rm', @restricted, @static, '-k', '/scratch', '--', '/usr/bin/etcdlocker', '--version');
    is $run->{code}, 0, 'an image with nothing else in it: nobody, read-only, without capabilities' or diag $run->{stderr};
    like $run->{stdout}, qr/^etcdlocker /, 'the command has run';
    my $name = start_container(@restricted, @static, '-k', '/scratch', '--', '/usr/bin/etcdlocker', '-e', etcd_endpoint(), '-k', '/other', '--status', '--watch');
    ok shows_up($name, qr/free/), 'one that stays';
    podman('stop', '-t', 20, $name);
    is code_of($name), 143, 'podman stop: 143';
    is_deeply [keys_left('/scratch')], [], 'the lock is free';

    # Somebody else's image: copied into it, or beside it.
    spew("$root/.containerignore", "usr/bin/etcdlocker\nDockerfile\n");
    spew("$root/Dockerfile", "FROM scratch\nCOPY . /\nCOPY --from=etcdlocker:static /usr/bin/etcdlocker /usr/bin/etcdlocker\n");
    image('copied', $root);
    is podman('run', '--rm', @restricted, 'copied', 'etcdlocker', '-e', etcd_endpoint(), '-k', '/copied', '--', 'sh', '-c', 'exit 7')->{code}, 7, 'COPY --from';
    spew("$root/Dockerfile", "FROM scratch\nCOPY . /\nUSER 65532\n");
    image('others', $root);
    make_path("$dir/shared");
    chmod 0777, "$dir/shared";
    $run = podman('run', '--rm', @restricted, '-v', "$dir/shared:/shared", 'etcdlocker:static', '--copy-to', '/shared');
    is $run->{code}, 0, 'an init container: --copy-to a volume' or diag $run->{stderr};
    isnt podman('run', '--rm', @restricted, 'others', 'etcdlocker', '--version')->{code}, 0, "an image that does not have it";
    $run = podman('run', '--rm', @restricted, '-v', "$dir/shared:/shared:ro", 'others', '/shared/etcdlocker', '-e', etcd_endpoint(), '-k', '/beside', '--', 'sh', '-c', 'exit 6');
    is $run->{code}, 6, 'runs it from there' or diag $run->{stderr};
    unlink "$root/Dockerfile", "$root/.containerignore";
}

done_testing;
