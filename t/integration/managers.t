# The real service managers with what contrib/service has for them: systemd, s6 and runit know a standby from a leader, and
# a stop leaves nothing behind.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

etcd_need();
etcd_start();
my $services = "$ENV{SOURCE_DIR}/contrib/service";
# Where service directories find us.
$ENV{PATH} = ($locker =~ s{/[^/]+$}{}r) . ":$ENV{PATH}";
# Says that it starts, with its token. One process, however short one looks.
my $command = spew("$dir/command", "#!$^X\nopen my \$out, '>>', '$dir/runs' or die; print \$out \"\$ENV{ETCD_LOCK_REV}\\n\"; close \$out; sleep 1 while 1;\n");
chmod 0755, $command;

sub has { my ($program) = @_; return system("command -v $program > /dev/null 2>&1") == 0 }
sub runs { return split /\n/, slurp("$dir/runs") }
# In whatever namespace.
sub alive_now { return grep { slurp($_) =~ m{^\Q$^X\E\0\Q$command\E\0} } glob '/proc/[0-9]*/cmdline' }

# A file of contrib/service with our etcd, our command, KEY and a short lease.
sub adapted {
    my ($file, $key) = @_;
    my $text = slurp("$services/$file");
    $text =~ s/etcd1:2379,etcd2:2379/@{[etcd_endpoint()]}/;
    $text =~ s{/billing/leader}{$key};
    $text =~ s{/usr/bin/dispatcher}{$command};
    $text =~ s{/usr/bin/etcdlocker}{$locker}g;
    $text =~ s{/etc/etcdlocker/}{$dir/}g;
    return $text;
}

# Our copy of the service directory of KIND.
sub service_directory {
    my ($kind, $key) = @_;
    my $place = "$dir/$kind";
    mkdir $place or die "$place: $!";
    for my $file (map { s{.*/}{}r } glob "$services/$kind/etcdlocker/*") {
        spew("$place/$file", adapted("$kind/etcdlocker/$file", $key));
        chmod((stat "$services/$kind/etcdlocker/$file")[2] & 0777, "$place/$file");
    }
    return $place;
}

sub hold_first {
    my ($key) = @_;
    my $first = start_locker(['-k', $key, '-i', 'first', '--', 'sleep', 1000]);
    wait_until(sub { keys_left($key) == 1 }, 10, 'a holder');
    unlink "$dir/runs";
    return $first;
}

sub release { my ($first) = @_; kill 'TERM', $first->{pid}; return finish($first) }
sub nothing_left { my ($key) = @_; return wait_until(sub { !keys_left($key) && !alive_now() }, 10) }

SKIP: {
    skip 'no s6: install s6', 8 if !has('s6-supervise');
    my $key = '/managers/s6';
    my $first = hold_first($key);
    my $place = service_directory('s6', $key);
    my $s6 = start(['s6-supervise', $place]);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a standby');
    isnt run(['s6-svwait', '-U', '-t', 200, $place])->{code}, 0, 's6: a standby is not ready';
    like run(['s6-svstat', $place])->{stdout}, qr/^up \(/, 'but up';
    release($first);
    is run(['s6-svwait', '-U', '-t', 10_000, $place])->{code}, 0, 'a leader is';
    ok wait_until(sub { runs() == 1 }, 10), 'and its command runs';
    run(['s6-svc', '-wD', '-T', 20_000, '-d', $place]);
    like run(['s6-svstat', $place])->{stdout}, qr/^down \(exitcode 143\)/, 'brought down';
    ok nothing_left($key), 'the lock is free';
    # What no restart helps is not tried again and again.
    spew("$place/run", slurp("$place/run") =~ s/-k \S+//r);
    run(['s6-svc', '-u', $place]);
    ok wait_until(sub { run(['s6-svstat', '-o', 'exitcode,wantedup', $place])->{stdout} eq "64 false\n" }, 10), 'wrong usage: it stays down';
    run(['s6-svc', '-x', $place]);
    is finish($s6), 0, 'and s6 ends';
}

SKIP: {
    skip 'no runit: install runit', 6 if !has('runsv');
    my $key = '/managers/runit';
    my $first = hold_first($key);
    my $place = service_directory('runit', $key);
    my $runit = start(['runsv', $place]);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a standby');
    isnt run(['sv', '-w', 1, 'check', $place])->{code}, 0, 'runit: a standby is not up for "sv check"';
    like run(['sv', 'status', $place])->{stdout}, qr/^run: /, 'but runs';
    release($first);
    is run(['sv', '-w', 10, 'check', $place])->{code}, 0, 'a leader is';
    ok wait_until(sub { runs() == 1 }, 10), 'and its command runs';
    run(['sv', '-w', 20, 'down', $place], seconds => 30);
    ok nothing_left($key), 'brought down: the lock is free';
    run(['sv', 'exit', $place]);
    is finish($runit), 0, 'and runit ends';
}

# systemd takes the cgroup that it is started in for its own, with all that is in there: one for it alone, in each hierarchy
# that it uses to tell processes apart.
my @cgroups;
sub enter_cgroups { spew("$_/cgroup.procs", $$) for @cgroups; return }

sub make_cgroups {
    my %own = slurp('/proc/self/cgroup') =~ /^\d+:(|name=systemd):(.*)$/mg;
    for my $mount (split /\n/, slurp('/proc/self/mountinfo')) {
        my ($root, $place, $options) = $mount =~ m{^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2? \S+ (\S+)} or next;
        my $hierarchy = $mount =~ / - cgroup2 / ? '' : 'name=systemd';
        next if $root ne '/' || ($hierarchy ne '' && $options !~ /\bname=systemd\b/) || !defined $own{$hierarchy};
        my $cgroup = "$place$own{$hierarchy}/etcdlocker-test-$$";
        push @cgroups, $cgroup if mkdir $cgroup;
    }
    return scalar @cgroups;
}

# With what systemd has made below; in the hierarchies of controllers, too.
sub remove_cgroups {
    for my $place (slurp('/proc/self/mountinfo') =~ m{^\S+ \S+ \S+ / (\S+) .* - cgroup2? }mg) {
        system "find '$place' -depth -type d -path '*/etcdlocker-test-$$*' -exec rmdir '{}' + 2> /dev/null";
    }
    return;
}

# systemd as somebody's own manager, in namespaces where it believes that it has booted the machine. It is not their PID 1:
# then it would be the machine's.
SKIP: {
    my $systemd = '/lib/systemd/systemd';
    skip 'no systemd: install systemd', 15 if !-x $systemd;
    skip 'not root: no namespaces to be had', 15 if $> != 0 || system('unshare -m -p -f true 2> /dev/null') != 0;
    skip 'no cgroup to be had', 15 if !make_cgroups();
    my $key = '/managers/systemd';
    my $first = hold_first($key);
    mkdir "$dir/$_" for 'home', 'home/.config', 'home/.config/systemd', 'home/.config/systemd/user';
    my $unit = adapted('etcdlocker@.service', $key);
    $unit =~ s/^WatchdogSec=.*/WatchdogSec=2/m or die;
    $unit =~ s/^RestartSec=.*/RestartSec=1/m or die;
    spew("$dir/home/.config/systemd/user/etcdlocker\@.service", $unit);
    spew("$dir/app.conf", 'ETCD_LOCK_HOST=' . etcd_endpoint() . "\nETCD_LOCK_KEY=$key\nETCD_LOCK_TTL=5\nCOMMAND=$command --verbose\n");
    my $manager = start(['unshare', '-m', '-p', '-f', '--mount-proc', '--kill-child', 'sh', '-c',
        "mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user && $systemd --user --log-target=console; exit 1"],
        before => \&enter_cgroups, env => { XDG_RUNTIME_DIR => '/run/user', HOME => "$dir/home" });
    my $inside;
    my $systemctl = sub { return run(['nsenter', '-t', $inside, '-m', '-p', 'systemctl', '--user', @_], env => { XDG_RUNTIME_DIR => '/run/user', HOME => "$dir/home" }, seconds => 40) };
    my $property = sub { my ($name) = @_; my $line = $systemctl->('show', '-p', $name, 'etcdlocker@app')->{stdout}; return $line =~ /^$name=(.*)/ ? $1 : '' };
    my $is = sub { my ($name, $pattern) = @_; return wait_until(sub { $property->($name) =~ $pattern }, 20, "$name to be $pattern") };
    wait_until(sub { ($inside) = children_of($manager->{pid}); $inside && $systemctl->('is-system-running')->{stdout} =~ /running|degraded|starting/ }, 20, 'systemd') or BAIL_OUT('systemd does not start: ' . slurp($manager->{err}));

    $systemctl->('start', '--no-block', 'etcdlocker@app');
    ok $is->('StatusText', qr{^waiting for /managers/systemd: held by first, 1 ahead of us$}), 'systemd: a standby says whom it waits for';
    is $property->('ActiveState'), 'activating', 'and is not active yet';
    is scalar(runs()), 0, 'nothing runs';
    release($first);
    ok $is->('ActiveState', qr/^active$/), 'a leader is active';
    like $property->('StatusText'), qr{^holding /managers/systemd since revision \d+$}, 'and says since when';
    ok wait_until(sub { runs() == 1 }, 10), 'its command runs';

    # The unit's main process is the sentinel; the supervisor is its child.
    my ($main) = grep { slurp("/proc/$_/cmdline") =~ /etcdlocker\0--restart/ } map { children_of($_) } children_of($inside);
    my ($supervisor) = children_of($main);
    kill 'STOP', $supervisor;
    ok $is->('Result', qr/^watchdog$/), 'a supervisor that hangs is found by the watchdog';
    ok wait_until(sub { runs() == 2 }, 20), 'and all of it started again, once the lease has run out';
    my ($before, $after) = runs();
    cmp_ok $after, '>', $before, 'with another token';
    is scalar(alive_now()), 1, 'while the first command is dead';
    ok $is->('ActiveState', qr/^active$/), 'it is active again';

    is $systemctl->('stop', 'etcdlocker@app')->{code}, 0, 'stopped';
    is $property->('ActiveState'), 'inactive', 'which is no failure';
    is $property->('Result'), 'success', 'but success';
    ok nothing_left($key), 'the lock is free';
    $systemctl->('exit');
    finish($manager);
}

END { remove_cgroups() if @cgroups }

done_testing;
