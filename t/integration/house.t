# The house: includes and calls point down only, no files call each other in a circle, files and functions keep their
# size, the tables of the documents are the code's, nothing is left over.
use strict;
use warnings;
use Etcdlocker::Test;
use File::Find qw(find);
use Test::More;

my $source = $ENV{SOURCE_DIR};
my $build = $ENV{BUILD_DIR};
my %below = (
    base => [],
    net => ['base'],
    etcd => ['net', 'base'],
    lock => ['etcd', 'net', 'base'],
    child => ['base'],
    etcdlocker => ['child', 'base'], # and of lock the public header alone
);

# All files below $folder with that ending, by their paths in it; and the layer that such a path is of.
sub files_below {
    my ($folder, $ending) = @_;
    my @found;
    find({ wanted => sub { push @found, $File::Find::name if /\Q$ending\E$/ && $File::Find::name !~ m{/\.libs/} }, no_chdir => 1 }, $folder);
    return sort map { s{^\Q$folder\E/}{}r } @found;
}

sub layer_of { my ($path) = @_; return (split m{/}, $path)[0] }

sub may_use {
    my ($user, $used) = map { layer_of($_) } @_;
    return $user eq $used || grep { $_ eq $used } @{ $below{$user} };
}

my @names = (files_below("$source/src", '.c'), files_below("$source/src", '.h'));
my @files = map { "$source/src/$_" } @names;
cmp_ok scalar(@files), '>', 40, 'the sources are found';

my @wrong;
for my $name (@names) {
    for my $include (slurp("$source/src/$name") =~ /^#include "([^"]+)"/mg) {
        next if $include =~ m{/} && exists $below{ layer_of($include) } && may_use($name, $include);
        next if layer_of($name) eq 'etcdlocker' && $include eq 'lock/etcdlock.h';
        push @wrong, "$name includes $include";
    }
}
is_deeply \@wrong, [], 'includes point down only';

# --- calls, as the objects have them ---

# Who uses what: $calls{user}{used}, both as files without their ending, for every symbol that one file alone defines.
sub calls_between {
    my (%defined, %used, %calls);
    for my $object (files_below("$build/src", '.o')) {
        my ($file) = $object =~ /(.*)\.o$/;
        next if !-e "$source/src/$file.c"; # of an older build
        for my $line (split /\n/, qx(nm $build/src/$object)) {
            push @{ $defined{$1} }, $file if $line =~ /^\S+ [TDBRV] (\S+)$/;
            push @{ $used{$1} }, $file if $line =~ /^\s+U (\S+)$/;
        }
    }
    for my $symbol (keys %used) {
        my @homes = @{ $defined{$symbol} // [] };
        next if @homes != 1;
        $calls{$_}{ $homes[0] } = $symbol for grep { $_ ne $homes[0] } @{ $used{$symbol} };
    }
    return \%calls;
}

# Every file that can be reached from $from.
sub reached_from {
    my ($calls, $from) = @_;
    my (%seen, @ahead);
    @ahead = keys %{ $calls->{$from} // {} };
    while (defined(my $file = pop @ahead)) {
        push @ahead, keys %{ $calls->{$file} // {} } if !$seen{$file}++;
    }
    return \%seen;
}

my $calls = calls_between();
cmp_ok scalar(keys %$calls), '>', 60, 'the objects are found';
is_deeply [sort grep { reached_from($calls, $_)->{$_} } keys %$calls], [], 'no files call each other in a circle';
my @upward;
for my $user (sort keys %$calls) {
    for my $used (sort keys %{ $calls->{$user} }) {
        my $symbol = $calls->{$user}{$used};
        next if may_use($user, $used) || (layer_of($user) eq 'etcdlocker' && $symbol =~ /^etcdlock_/);
        push @upward, "$user calls $symbol() of $used";
    }
}
is_deeply \@upward, [], 'calls point down only';

# The parts of a protocol change its state, and leave it to its advance() who comes next.
my %parts = (v3 => [qw(lease queue watch release txn)], v2 => [qw(change read wait)]);
for my $protocol (sort keys %parts) {
    my %part = map { ("lock/$protocol/${protocol}_$_" => 1) } @{ $parts{$protocol} };
    is scalar(grep { $calls->{$_} } keys %part), scalar(keys %part), "the parts of $protocol are there";
    my @sideways = grep { my $user = $_; grep { $part{$_} } keys %{ $calls->{$user} } } sort keys %part;
    is_deeply \@sideways, [], 'and none of them calls another';
}

# --- documents ---

my $design = slurp("$source/doc/design.md");
for my $table (qw(lock supervisor)) {
    my ($written) = $design =~ /^<!-- t\/tables $table -->\n\n {4}state +event[^\n]*\n((?: {4}[^\n]*\n)+)/m;
    is $written, qx($build/t/tables $table), "doc/design.md has the table of the code: $table";
}
# What the drawing of the house names is there.
my ($house) = $design =~ /^## 10\. The house\n\n```\n(.*?)^```/ms;
for my $layer (sort keys %below) {
    like $house, qr{^src/$layer/}m, "doc/design.md draws src/$layer";
}
for my $file ($design =~ /\*\*(\w+\.c)\*\*/g) {
    ok scalar(grep { m{(?:^|/)\Q$file\E$} } @names), "$file, of which doc/design.md tells, is there";
}

my @public = slurp("$source/src/lock/etcdlock.h") =~ /^#include (\S+)/mg;
is_deeply [grep { !/^<std/ } @public], [], 'the public header includes nothing of ours';

undef @wrong;
for my $file (@files, glob "$source/t/unit/*.[ch] $source/t/*.c $source/t/fuzz/*.c") {
    my @lines = split /\n/, slurp($file);
    my ($name) = $file =~ m{\Q$source\E/(.*)};
    push @wrong, "$name has " . @lines . ' lines' if @lines > 600;
    my ($start, $function);
    for my $i (0 .. $#lines) {
        ($start, $function) = ($i, $lines[$i - 1]) if $lines[$i] eq '{';
        if ($lines[$i] eq '}' && defined $start) {
            push @wrong, "$name: $function has " . ($i - $start + 1) . ' lines' if $i - $start + 1 > 60;
            undef $start;
        }
    }
    push @wrong, map { "$name: $_" } grep { /\b(?:TODO|FIXME|XXX)\b/ } @lines;
}
is_deeply \@wrong, [], 'no file over 600 lines, no function over 60, nothing left for later';

# Nobody can set CLOCK_BOOTTIME, and it counts suspend. Only the stamps of log lines are wall-clock time.
my @clocks = grep { !m{/etcdlocker/logging\.c$|/base/clock\.c$} && slurp($_) =~ m{^(?!.*(?:/\*| \*)).*(?:clock_gettime|gettimeofday|CLOCK_REALTIME|CLOCK_MONOTONIC)}m } @files;
is_deeply \@clocks, [], 'no other clock than those of clock.c decides anything';
is_deeply [sort +(slurp("$source/src/base/clock.c") =~ /read_clock\((CLOCK_\w+)\)/g)], [('CLOCK_BOOTTIME') x 2, 'CLOCK_MONOTONIC_RAW'], 'which are CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW';

my ($units) = slurp("$source/Makefile.am") =~ /(.*)/s;
my @unlisted = grep { my ($name) = m{^\Q$source\E/(src/.*)$}; $units !~ /\Q$name\E/ } @files;
SKIP: {
    skip 'the linker exports no single symbols', 1 if slurp("$ENV{BUILD_DIR}/Makefile") !~ /^EXPORT_SKIP = \S/m;
    like qx(nm -D $locker), qr/ T _gnutls_global_init_skip$/m, 'the tables of GnuTLS are not built before main()';
}

is_deeply \@unlisted, [], 'every source is in Makefile.am';

done_testing;
