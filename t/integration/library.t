# libetcdlock as its users have it: installed, found with pkg-config, on real etcd; its examples, its promises, its exports,
# and what happens when memory runs out.
use strict;
use warnings;
use Config;
use Etcdlocker::Test;
use Test::More;

etcd_need();
etcd_start();
my ($build, $source) = @ENV{qw(BUILD_DIR SOURCE_DIR)};
my $endpoint = etcd_endpoint();
my $sanitized = ($ENV{SANITIZERS} // 'no') eq 'yes';

# --- installed ---

my $root = "$dir/root";
is system("make -s -C '$build' install DESTDIR='$root' > '$dir/install.out' 2>&1"), 0, 'make install' or diag slurp("$dir/install.out");
my ($pc) = split /\n/, `find $root -name libetcdlock.pc`;
ok $pc, 'with a .pc file' or BAIL_OUT('nothing to go on with');
my ($library) = $pc =~ m{^(.*)/pkgconfig/};
my %with = (PKG_CONFIG_PATH => "$library/pkgconfig", PKG_CONFIG_SYSROOT_DIR => $root, LD_LIBRARY_PATH => $library, ETCD_LOCK_HOST => $endpoint);
my $version = run(['pkg-config', '--modversion', 'libetcdlock'], env => \%with)->{stdout};
like `$locker --version`, qr/^etcdlocker \Q$version\E/, "pkg-config's version is the program's";
ok -e "$library/libetcdlock.a", 'a static library';
ok -e "$library/libetcdlock.so.0", 'a shared one';

my @exports = sort map { / T (\w+)/ ? $1 : () } split /\n/, `nm -D --defined-only $library/libetcdlock.so`;
is_deeply \@exports, [split /\n/, slurp("$source/src/lock/libetcdlock.symbols")], 'it exports what is recorded: a name that goes is a new soname';
my @declared = sort { $a cmp $b } keys %{ { map { $_ => 1 } slurp("$source/src/lock/etcdlock.h") =~ /\b(etcdlock_\w+)\(/g } };
is_deeply \@exports, [grep { !/_fn$/ } @declared], 'and the header declares it';
my @outside = grep { /\b(?:setenv|putenv|exit|abort|fork|signal|sigaction|printf|puts|fputs|stdout|stderr)$/ } map { / U ([^@\s]+)/ ? $1 : () } `nm -D $library/libetcdlock.so`;
is_deeply [grep { $_ ne 'abort' } @outside], [], 'it does not print, fork, exit or take signals' if !$sanitized && $ENV{COVERAGE} ne 'yes';

# Every function has a manual page, and every page is about functions that there are.
my ($pages) = "$root" . (`find $root -type d -name man3` =~ m{^\Q$root\E(\S+)}m)[0];
is_deeply [sort map { m{([^/]+)\.3$} } grep { -s } glob "$pages/etcdlock_*.3"], \@exports, 'a page of the manual for each';

my ($shown) = slurp("$source/man/libetcdlock.3") =~ /^\.EX\n(.*?)^\.EE/ms;
$shown =~ s/\\e/\\/g;
my ($whole) = slurp("$source/contrib/examples/readme.c") =~ /^(#include.*)/ms;
is $shown, $whole, "the manual's example is the one that is tested";

# --- examples ---

sub compile {
    my ($name) = @_;
    my @sanitize = $sanitized ? ('-fsanitize=address,undefined') : ();
    my $flags = run(['pkg-config', '--cflags', '--libs', 'libetcdlock'], env => \%with)->{stdout};
    my $cc = run([split(/ /, $ENV{CC} // 'cc'), '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-g', '-pthread', @sanitize, "$source/contrib/examples/$name.c", '-o', "$dir/$name", split ' ', $flags], env => \%with, seconds => 60);
    is $cc->{code}, 0, "$name compiles with pkg-config's flags" or diag $cc->{stderr};
    return "$dir/$name";
}

{
    my $readme = compile('readme');
    my $run = run([$readme], env => \%with);
    is "$run->{code} $run->{stdout}", "0 locked\nunlocked\n", "the seed's example: locked, unlocked";
    my $dead = run([$readme], env => { %with, ETCD_LOCK_HOST => '127.0.0.1:1' }, seconds => 60);
    is $dead->{code}, 1, 'etcd out of reach: an error';
    like $dead->{stderr}, qr/^not locked: no answer from etcd for 30s: /, 'that says so';
    my $holder = start_locker(['-k', '/example/lock', '--', 'sleep', 100]);
    wait_until(sub { keys_left('/example/lock') == 1 }, 10, 'a holder');
    my $waiter = start([$readme], env => \%with);
    ok wait_until(sub { keys_left('/example/lock') == 2 }, 10), 'it queues behind the program';
    is slurp($waiter->{out}), '', 'and waits';
    kill 'TERM', $holder->{pid};
    finish($holder);
    is finish($waiter), 0, 'until it is its turn';
    SKIP: {
        skip 'valgrind is not installed', 1 if system('valgrind --version > /dev/null 2>&1') != 0;
        skip 'a build with sanitizers has its own eyes', 1 if $sanitized;
        my $checked = run(['valgrind', '-q', '--error-exitcode=9', '--leak-check=full', '--errors-for-leak-kinds=definite', $readme], env => \%with, seconds => 60);
        is $checked->{code}, 0, 'valgrind finds nothing' or diag $checked->{stderr};
    }
}

{
    my $leader = compile('leader');
    my $first = start([$leader, '/leader'], env => \%with);
    ok wait_until(sub { slurp($first->{out}) =~ /^count 2 at revision/m }, 10), 'a leader counts in etcd';
    my $second = start([$leader, '/leader'], env => \%with);
    ok wait_until(sub { slurp($second->{out}) =~ /^standing by: 1 ahead/m }, 10), 'another one stands by';
    my ($key) = etcdctl('get', '--prefix', '--keys-only', '--sort-by=CREATE', '--order=ASCEND', '/leader/') =~ /^(\S+)/;
    etcdctl('del', $key);
    is finish($first), 2, 'its key deleted: it ends';
    like $first->{stdout}, qr/^lost: .*gone/m, 'and says why';
    ok wait_until(sub { slurp($second->{out}) =~ /^count 1 at revision/m }, 10), 'the other one leads';
    my ($old, $new) = map { /^leading, fencing token (\d+)$/m } $first->{stdout}, slurp($second->{out});
    cmp_ok $new, '>', $old, 'with a greater token';
    kill 'INT', $second->{pid};
    is finish($second), 0, 'SIGINT: it gives the lock back';
    is_deeply [keys_left('/leader')], [], 'no key is left';
}

{
    my $run = run([compile('threads')], env => \%with);
    is $run->{code}, 0, 'two threads, a base each, take turns';
    is scalar(() = $run->{stdout} =~ /^(?:one|two)$/mg), 10, 'ten in all';
}

{
    my $run = run([compile('many'), 300, 5], env => { %with, ETCD_LOCK_TTL => 5 }, seconds => 60);
    is $run->{code}, 0, 'many locks on one base' or diag $run->{stderr};
    like $run->{stdout}, qr/^300 of 300 held$/m, 'all are held';
    like $run->{stdout}, qr/^300 released$/m, 'and released';
    my ($kb) = $run->{stdout} =~ /^([\d.]+) kB private dirty for each/m;
    cmp_ok $kb, '<', 20, 'less than 20 kB each' if !$sanitized;
    my ($busiest, $mean) = $run->{stdout} =~ /^busiest half second: (\d+) renewals, mean ([\d.]+)$/m;
    cmp_ok $busiest, '<', 4 * $mean, 'which are not renewed all at once';
    is_deeply [leases_left()], [], 'no lease is left';
}

# --- promises ---

{
    my $run = run(["$build/t/api", $endpoint, '/api'], seconds => 60);
    is "$run->{code} $run->{stdout}", "0 good\n", 'what the header promises' or diag $run->{stderr};
    my $one = run(["$build/t/oom", $endpoint, '/oom/one', 'one', 1], seconds => 200);
    is $one->{code}, 0, 'each allocation made to fail in turn: no crash, no leak, no silence' or diag $one->{stdout}, $one->{stderr};
    my $all = run(["$build/t/oom", $endpoint, '/oom/all', 'all', 29], seconds => 200);
    is $all->{code}, 0, 'every allocation from some on made to fail: neither' or diag $all->{stdout}, $all->{stderr};
    note $one->{stdout}, $all->{stdout};
}

done_testing;
