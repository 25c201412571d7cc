# Every signal, in every state, as PID 1 and not; every exit code; PID 1's other duties.
use strict;
use warnings;
use Etcdlocker::Test;
use POSIX ();
use Test::More;

etcd_need();
my $etcd = etcd_start();
my $endpoint = etcd_endpoint();
my %number;
@number{qw(HUP INT QUIT USR1 USR2 ALRM TERM STKFLT CONT TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR)} =
    (1, 2, 3, 10, 12, 14, 15, 16, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
my @stop = @number{qw(TERM INT QUIT)};
# 32 and 33 are the C library's. CONT follows a stop signal, too.
# They end who waits, as they end any program.
my @ending = @number{qw(HUP ALRM VTALRM PROF XCPU USR1 USR2)};
my @other = ((grep { my $n = $_; !grep { $_ == $n } @stop, 18 } sort { $a <=> $b } values %number), 34 .. 64);

my @modes = (['not as PID 1', [], sub { $_[0]{pid} }]);
if ($> == 0 && system('unshare -p -f --mount-proc true 2>/dev/null') == 0) {
    push @modes, ['as PID 1', ['unshare', '-p', '-f', '--mount-proc', '--kill-child'], sub { my ($run) = @_; wait_until(sub { (children_of($run->{pid}))[0] || (!alive($run->{pid}) && 'gone') }, 5) }];
}

# Starts us in MODE with the command of CODE: { pid of ours, run }.
sub begin {
    my ($mode, $arguments, @command) = @_;
    # Blocked from before us on: what comes right behind the exec waits until the command looks.
    my $run = start([@{ $mode->[1] }, $locker, '-v', '-e', $endpoint, @$arguments, '--', @command],
        before => sub { POSIX::sigprocmask(POSIX::SIG_BLOCK(), $command[0] eq $probe ? POSIX::SigSet->new(1 .. 31, 34 .. 64) : POSIX::SigSet->new()) });
    return { run => $run, pid => $mode->[2]->($run) };
}

# SIGNAL reaches the command.
sub reaches { my ($it, $signal) = @_; kill $signal, $it->{pid}; return wait_until(sub { slurp($it->{run}{out}) =~ /^signal $signal$/m }, 10, "signal $signal") }
sub ready { my ($it) = @_; return wait_until(sub { slurp($it->{run}{out}) =~ /^ready$/m }, 10) || BAIL_OUT("no probe: " . slurp($it->{run}{err})) }

# Signals sent, one after the other, until the command has said that it got them all. Returns those that got lost.
sub lost_of { my ($it, @signals) = @_; return join ' ', grep { !reaches($it, $_) } @signals }

for my $mode (@modes) {
    my ($name) = @$mode;
    my $key = "/signals" . ($name =~ /not/ ? '' : '1');
    {
        my $it = begin($mode, ['-k', $key, '-t', 200, '-g', 60], $probe, 'signals for ever');
        ready($it);
        is lost_of($it, @other), '', "$name, running: every signal is passed on";

        # One that waits meanwhile.
        my $waiter = begin($mode, ['-k', $key], 'true');
        wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter');
        my @harmless = grep { my $n = $_; !grep { $_ == $n } @ending } @other;
        for my $signal (@harmless) { kill $signal, $waiter->{pid} }
        ok wait_until(sub { (() = slurp($waiter->{run}{err}) =~ /got signal/g) >= @harmless }, 10), "$name, waiting: all of them arrive";
        is scalar(keys_left($key)), 2, 'and it waits on';
        kill 'TERM', $waiter->{pid};
        is finish($waiter->{run}), 143, 'TERM ends it';
        for my $signal (2, 3, @ending) {
            $waiter = begin($mode, ['-k', $key], 'true');
            wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter');
            kill $signal, $waiter->{pid};
            is finish($waiter->{run}, 5), 128 + $signal, "$name, waiting: signal $signal ends it";
            is scalar(keys_left($key)), 1, 'and its place is gone';
        }

        # A terminal that goes says so twice: by the kernel, and by its shell.
        $waiter = begin($mode, ['-k', $key], 'true');
        wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter');
        kill 'STOP', $etcd->{pid};
        for my $count (1, 2) {
            kill 'HUP', $waiter->{pid};
            wait_until(sub { $count == (() = slurp($waiter->{run}{err}) =~ /got signal HUP/g) }, 5, 'HUP');
        }
        kill 'CONT', $etcd->{pid};
        is finish($waiter->{run}, 5), 129, "$name, waiting: two HUPs end it";
        is scalar(keys_left($key)), 1, 'and its place is gone all the same';

        # timeout(1) sends its signal to the child, and microseconds later to the group, which is the child's.
        $waiter = begin($mode, ['-k', $key], 'true');
        wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter');
        kill 'STOP', $etcd->{pid};
        for my $count (1, 2) {
            kill 'TERM', $waiter->{pid};
            wait_until(sub { $count == (() = slurp($waiter->{run}{err}) =~ /got signal TERM/g) }, 5, 'TERM');
        }
        kill 'CONT', $etcd->{pid};
        is finish($waiter->{run}, 5), 143, "$name, waiting: two TERMs at once end it";
        is scalar(keys_left($key)), 1, 'and are one: its place is gone';

        ok reaches($it, 15), "$name: TERM is passed on";
        kill 'TERM', $it->{pid};
        wait_until(sub { 2 == (() = slurp($it->{run}{err}) =~ /got signal TERM/g) }, 5, 'another TERM');
        # What has been seen does not count again.
        my $before = length slurp($it->{run}{out});
        my $lost = join ' ', grep { my $signal = $_; kill $signal, $it->{pid};
            !wait_until(sub { substr(slurp($it->{run}{out}), $before) =~ /^signal $signal$/m }, 10, "signal $signal while stopping") } @other;
        is $lost, '', "$name, stopping: so is every signal then";
        kill 'INT', $it->{pid};
        is finish($it->{run}), 143, "$name: a second stop signal kills; the first one was the cause";
    }
    for my $signal (2, 3) {
        my $it = begin($mode, ['-k', $key], 'sh', '-c', "echo ready; exec sleep 100");
        ready($it);
        kill $signal, $it->{pid};
        is finish($it->{run}), 128 + $signal, "$name, running: signal $signal ends the command and us";
    }
    {
        # Between acquisition and exec. Where it comes a moment later it has to arrive all the same.
        my $wrong = '';
        for my $signal (@other, @stop) {
            my $it = begin($mode, ['-k', "$key-start/$signal", '-t', 200, '-g', 60], $probe, 'signals for ever');
            wait_until(sub { slurp($it->{run}{err}) =~ /-> STARTING/ }, 10, 'the start');
            $wrong .= " $signal" if !reaches($it, $signal);
            kill $_, $it->{pid} for 'TERM', 'INT'; # equal ones that are pending are one
            finish($it->{run});
        }
        is $wrong, '', "$name, starting: no signal is lost before the exec, nor ends the command there";
    }
    {
        my @codes = map { begin($mode, ['-k', "$key-code/$_"], 'sh', '-c', "exit $_") } 0 .. 15;
        my $wrong = '';
        for my $code (0 .. 255) {
            my $code_got = finish(shift(@codes)->{run});
            $wrong .= " $code" if !defined $code_got || $code_got != $code;
            push @codes, begin($mode, ['-k', "$key-code/" . ($code + 16)], 'sh', '-c', 'exit ' . ($code + 16)) if $code + 16 <= 255;
        }
        is $wrong, '', "$name: all 256 exit codes";
    }
}

SKIP: {
    skip 'no pid namespace to be had', 3 if @modes < 2;
    my $mode = $modes[1];
    # Orphans of whatever session become PID 1's children.
    my $it = begin($mode, ['-k', '/orphans'], 'sh', '-c', 'for i in 1 2 3 4 5 6 7 8; do setsid sh -c "sleep 0.1 & exit 0" & done; sleep 1; ps -e -o stat= | grep -c Z; true');
    is finish($it->{run}), 0, 'a command with orphans';
    is $it->{run}{stdout}, "0\n", 'no zombie is left of them';
    $it = begin($mode, ['-k', '/orphans'], 'sh', '-c', '(trap "" TERM; setsid sleep 100 &) ; exit 5');
    is finish($it->{run}, 15), 5, 'what it leaves behind ends, too';
}

# Nested, and below another init.
is run_locker(['-k', '/outer', '--', $locker, '-e', $endpoint, '-k', '/inner', '--', $locker, '-e', $endpoint, '-k', '/innermost', '--', 'sh', '-c', 'exit 9'])->{code}, 9, 'three of us, nested';
{
    my $nested = start_locker(['-k', '/outer', '--', $locker, '-e', $endpoint, '-k', '/inner', '--', 'sh', '-c', 'echo ready; exec sleep 100']);
    wait_until(sub { slurp($nested->{out}) =~ /ready/ }, 10, 'the command');
    kill 'TERM', $nested->{pid};
    is finish($nested), 143, 'a stop signal goes through two of us';
    ok wait_until(sub { !keys_left('/outer') && !keys_left('/inner') }, 10), 'both locks are free';
}
SKIP: {
    skip 'not root', 2 if $> != 0;
    my $run = run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', $locker, '-e', $endpoint, '-k', '/nobody', '--', 'id', '-u']);
    is $run->{stdout}, "65534\n", 'as nobody';
    skip 'no mount namespace to be had', 1 if system('unshare -m true 2>/dev/null') != 0;
    $run = run(['unshare', '-m', 'sh', '-c', 'mount -o remount,bind,ro / 2>/dev/null || mount -o bind,ro / / ; exec "$@"', 'sh', $locker, '-e', $endpoint, '-k', '/ro', '--', 'sh', '-c', 'exit 6']);
    is $run->{code}, 6, 'with a root file system that cannot be written';
}

done_testing;
