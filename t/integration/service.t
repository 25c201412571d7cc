# Service managers: sd_notify's messages from our main process, s6's notification-fd, a watchdog; what the command says itself.
use strict;
use warnings;
use Etcdlocker::Test;
use IO::Handle;
use Socket;
use Test::More;

etcd_need();
plan skip_all => 'no python3: install python3' if (eval { run(['python3', '--version'])->{code} } // 1) != 0;
etcd_start();
my $key = '/service';
my $count = 0;
my $wait = 'while :; do sleep 0.05; done';

# A manager; { address, said }.
sub manager {
    my ($address) = @_;
    $address //= "$dir/manager" . ++$count;
    my $process = start(['python3', "$ENV{SOURCE_DIR}/t/notify-socket.py", $address]);
    wait_until(sub { slurp($process->{out}) =~ /listening/ }, 10, 'a manager') or die slurp($process->{err});
    return { address => $address, process => $process };
}

sub said { my ($manager) = @_; my (undef, @lines) = split /\n/, slurp($manager->{process}{out}); return @lines }
sub hears { my ($manager, $pattern, $seconds) = @_; return wait_until(sub { grep { $_ =~ $pattern } said($manager) }, $seconds // 10) }

for my $address (undef, "\@etcdlocker-test-$$") {
    my $manager = manager($address);
    my $name = defined $address ? 'an abstract socket' : 'a socket with a path';
    my $first = start_locker(['-k', $key, '-i', 'first', '--', 'sleep', 100]);
    wait_until(sub { keys_left($key) == 1 }, 10, 'a holder');
    my $ours = start_locker(['-k', $key, '--', 'sh', '-c', "env > $dir/env; $wait"], env => { NOTIFY_SOCKET => $manager->{address} });
    ok hears($manager, qr/STATUS=waiting for \/service: held by first, 1 ahead of us/), "$name: a standby says whom it waits for";
    ok !(grep { /READY=1/ } said($manager)), 'and is not ready';
    kill 'TERM', $first->{pid};
    finish($first);
    ok hears($manager, qr/READY=1 \| STATUS=holding \/service since revision \d+/), 'a leader is ready';
    wait_until(sub { -s "$dir/env" }, 10, 'the command');
    unlike slurp("$dir/env"), qr/^NOTIFY_SOCKET=\Q$manager->{address}\E$/m, 'the command has not our socket';
    like slurp("$dir/env"), qr/^NOTIFY_SOCKET=\@/m, 'but one to us';
    kill 'TERM', $ours->{pid};
    is finish($ours), 143, 'a stop signal';
    ok hears($manager, qr/STOPPING=1 \| STATUS=ended by signal TERM/), 'is told';
    is_deeply [grep { !/^$ours->{pid} / } said($manager)], [], 'everything comes from our main process, which is what a manager listens to';
    unlink "$dir/env";
}

my $send = q{use Socket; socket my $s, AF_UNIX, SOCK_DGRAM, 0; (my $n = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/; sub say_it { send $s, $_[0], 0, pack_sockaddr_un($n) } };
{
    my $manager = manager();
    my $go = "$dir/go";
    my $ours = start_locker(['-k', $key, '--ready=child', '--', $^X, '-e', $send . qq{say_it("STATUS=warming up\\nMAINPID=1\\nWATCHDOG=1\\nFDSTORE=1"); sleep 1 while !-e "$go"; say_it("READY=1\\nSTATUS=serving"); sleep 100}],
        env => { NOTIFY_SOCKET => $manager->{address} });
    ok hears($manager, qr/STATUS=warming up$/), '--ready=child: what the command says is passed on, but not what is about its process';
    ok !(grep { /READY=1/ } said($manager)), 'it is not ready';
    spew($go, '');
    ok hears($manager, qr/READY=1/), 'until it says so';
    ok !(grep { /MAINPID|FDSTORE/ } said($manager)), 'nothing else went through';
    kill 'TERM', $ours->{pid};
    finish($ours);

    my $run = run_locker(['-k', $key, '--', $^X, '-e', $send . 'say_it("READY=1"); exit 0'], env => { NOTIFY_SOCKET => $manager->{address} });
    is $run->{code}, 0, 'a command that ends at once';
    my $before = () = join("\n", said($manager)) =~ /READY=1/g;
    is $before, 2, 'one READY for each: its own is not a second one';
}

{
    # A reload: what it began with READY=1 ends.
    my $manager = manager();
    my $ours = start_locker(['-k', $key, '--', $^X, '-e', $send . q{$SIG{HUP} = sub { say_it("RELOADING=1\nMONOTONIC_USEC=5"); say_it("READY=1\nSTATUS=reloaded") }; $| = 1; print "on\n"; sleep 1 while 1}],
        env => { NOTIFY_SOCKET => $manager->{address} });
    wait_until(sub { slurp($ours->{out}) =~ /on/ }, 10, 'the command');
    kill 'HUP', $ours->{pid};
    ok hears($manager, qr/RELOADING=1 \| MONOTONIC_USEC=5/), 'a reload is passed on';
    ok hears($manager, qr/READY=1 \| STATUS=reloaded/), 'and its end';
    kill 'TERM', $ours->{pid};
    finish($ours);
    ok hears($manager, qr/STOPPING=1/), 'STOPPING is said';
    is scalar(grep { /STOPPING=1/ } said($manager)), 1, 'once';
}

{
    # The longest message there can be.
    my $manager = manager();
    my $ours = start_locker(['-k', $key, '--ready=child', '--', $^X, '-e', $send . q{say_it("READY=1\nERRNO=" . 1 x 4079); $| = 1; print "on\n"; sleep 100}], env => { NOTIFY_SOCKET => $manager->{address} });
    wait_until(sub { slurp($ours->{out}) =~ /on/ }, 10, 'the command');
    ok hears($manager, qr/READY=1 \| ERRNO=1{4079}$/), 'a message as long as can be: we are ready all the same';
    kill 'TERM', $ours->{pid};
    is finish($ours), 143, 'and nothing worse happens';
}

{
    # A command that talks without end to a manager that does not listen: what matters gets through.
    my $manager = manager();
    kill 'STOP', $manager->{process}{pid};
    my $ours = start_locker(['-v', '-k', $key, '--ready=child', '--', $^X, '-e', $send . q{for my $n (1 .. 3000) { say_it("STATUS=$n " . "x" x 200); select undef, undef, undef, 0.0003 } say_it("READY=1"); $| = 1; print "on\n"; sleep 100}], env => { NOTIFY_SOCKET => $manager->{address} });
    wait_until(sub { slurp($ours->{out}) =~ /on/ }, 20, 'the command');
    select undef, undef, undef, 0.3; # for what it has sent to be read
    kill 'CONT', $manager->{process}{pid};
    ok hears($manager, qr/READY=1/), 'a flood of STATUS= does not wash READY=1 away';
    kill 'TERM', $ours->{pid};
    is finish($ours), 143, 'nor anything else';
    ok hears($manager, qr/STOPPING=1/), 'STOPPING is said';
}

{
    # Somebody else's id is no line of the protocol.
    my $manager = manager();
    my $first = start_locker(['-k', $key, '-i', "evil\nREADY=1\nMAINPID=1", '--', 'sleep', 100]);
    wait_until(sub { keys_left($key) == 1 }, 10, 'a holder');
    my $ours = start_locker(['-k', $key, '--', 'true'], env => { NOTIFY_SOCKET => $manager->{address} });
    ok hears($manager, qr/STATUS=waiting for \/service: held by evil\?READY=1\?MAINPID=1, 1 ahead of us$/), 'an id with newlines is one line';
    kill 'TERM', $_->{pid} for $ours, $first;
    finish($_) for $ours, $first;
}

{
    # A manager that is busy: nothing of what matters is lost.
    my $manager = manager();
    kill 'STOP', $manager->{process}{pid};
    socket my $flood, Socket::AF_UNIX(), Socket::SOCK_DGRAM(), 0 or die;
    $flood->blocking(0);
    my $sent = 0;
    $sent++ while $sent < 1000 && send $flood, "X=$sent", 0, Socket::pack_sockaddr_un($manager->{address});
    ok $sent > 0 && $sent < 1000, 'a manager takes no more';
    my $ours = start_locker(['-v', '-k', $key, '--', 'sleep', 100], env => { NOTIFY_SOCKET => $manager->{address} });
    wait_until(sub { slurp($ours->{err}) =~ /-> RUNNING/ }, 10, 'the command');
    kill 'CONT', $manager->{process}{pid};
    ok hears($manager, qr/READY=1/), 'it hears that we are ready when it can';
    kill 'TERM', $ours->{pid};
    is finish($ours), 143, 'and we end as ever';
}

{
    my $manager = manager();
    my $ours = start_locker(['-k', $key, '--', 'sleep', 100], env => { NOTIFY_SOCKET => $manager->{address}, WATCHDOG_USEC => 300_000 });
    ok wait_until(sub { (grep { /WATCHDOG=1/ } said($manager)) >= 5 }, 10), 'a watchdog is kept content';
    my ($supervisor) = children_of($ours->{pid});
    kill 'STOP', $supervisor;
    my $before = wait_until(sub { my $n = said($manager); select undef, undef, undef, 0.7; $n == said($manager) ? "$n" : 0 }, 10);
    ok $before, 'not by a supervisor that hangs';
    kill 'CONT', $supervisor;
    ok wait_until(sub { said($manager) > $before }, 10), 'but once it goes on';
    kill 'TERM', $ours->{pid};
    finish($ours);
    $ours = start_locker(['-k', $key, '--', 'sh', '-c', "env > $dir/env; exec sleep 100"], env => { NOTIFY_SOCKET => $manager->{address}, WATCHDOG_USEC => 300_000, WATCHDOG_PID => 1 });
    my $after = said($manager);
    ok wait_until(sub { (grep { /READY=1/ } said($manager)) == 2 }, 10), 'one for another process';
    select undef, undef, undef, 0.7; # twice its period
    is scalar(grep { /WATCHDOG=1/ } (said($manager))[$after .. $#{ [said($manager)] }]), 0, 'is none of ours';
    kill 'TERM', $ours->{pid};
    finish($ours);
}

{
    pipe my $out, my $in or die;
    fcntl $in, Fcntl::F_SETFD(), 0;
    my $number = fileno $in;
    my $holder = start_locker(['-k', $key, '--', 'sleep', 100]);
    wait_until(sub { keys_left($key) == 1 }, 10, 'a holder');
    my $ours = start_locker(['-k', $key, '--notify-fd', $number, '--', 'sh', '-c', "[ -e /proc/self/fd/$number ] && echo open; $wait"]);
    close $in;
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter');
    my $rin = '';
    vec($rin, fileno $out, 1) = 1;
    is select(my $r1 = $rin, undef, undef, 0), 0, '--notify-fd: a standby is silent';
    kill 'TERM', $holder->{pid};
    finish($holder);
    is select(my $r2 = $rin, undef, undef, 10), 1, 'a leader is heard';
    sysread $out, my $bytes, 100;
    is $bytes, "\n", 'by a newline';
    is select(my $r3 = $rin, undef, undef, 10), 1, 'and then';
    is sysread($out, $bytes, 100), 0, 'the end';
    kill 'TERM', $ours->{pid};
    finish($ours);
    is $ours->{stdout}, '', 'the command does not have that descriptor';
    for my $bad ('2', '77', 'x', '-1') {
        is run([$locker, '-k', $key, '--notify-fd', $bad, '--', 'true'])->{code}, 64, "--notify-fd $bad is refused";
    }
    is run([$locker, '-k', $key, '--ready', 'soon', '--', 'true'])->{code}, 64, '--ready soon, too';
}

{
    # A manager that has gone, or never was, changes nothing.
    for my $address ("$dir/nobody", '/', 'relative', '@', 'x' x 200) {
        is run_locker(['-k', $key, '--', 'true'], env => { NOTIFY_SOCKET => $address })->{code}, 0, "NOTIFY_SOCKET='" . substr($address, -10) . "'";
    }
}

{
    # Socket activation: LISTEN_PID is the pid of who is to take the sockets.
    my $perl = q{$| = 1; print $ENV{LISTEN_PID} == $$ && !exists $ENV{LISTEN_PIDFDID} ? "mine" : "$ENV{LISTEN_PID}, not $$", " $ENV{LISTEN_FDS}\n"};
    my $shell = ['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_PIDFDID=7; export LISTEN_PID LISTEN_FDS LISTEN_PIDFDID; exec "$@"', 'sh', $locker, '-e', etcd_endpoint(), '-k', $key, '--', $^X, '-e', $perl];
    is run($shell)->{stdout}, "mine 1\n", "LISTEN_PID is the command's";
    is run_locker(['-k', $key, '--', $^X, '-e', $perl], env => { LISTEN_PID => 1, LISTEN_FDS => 1 })->{stdout} =~ /^1, not/, 1, "somebody else's is left alone";
}

done_testing;
