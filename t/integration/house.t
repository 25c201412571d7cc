# The house: includes point down only, files and functions keep their size, nothing is left over.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

my $source = $ENV{SOURCE_DIR};
my %below = (
    base => [],
    net => ['base'],
    lock => ['net', 'base'],
    child => ['net', 'base'],
    etcdlocker => ['child', 'net', 'base'], # and of lock the public header alone
);
my @files = sort glob "$source/src/*/*.[ch]";
cmp_ok scalar(@files), '>', 40, 'the sources are found';

my @wrong;
for my $file (@files) {
    my ($layer, $name) = $file =~ m{/src/(\w+)/([\w.]+)$};
    for my $include (slurp($file) =~ /^#include "([^"]+)"/mg) {
        my ($of) = $include =~ m{^(\w+)/};
        next if defined $of && ($of eq $layer || grep { $_ eq $of } @{ $below{$layer} });
        next if $layer eq 'etcdlocker' && $include eq 'lock/etcdlock.h';
        push @wrong, "$layer/$name includes $include";
    }
}
is_deeply \@wrong, [], 'includes point down only';

my @public = slurp("$source/src/lock/etcdlock.h") =~ /^#include (\S+)/mg;
is_deeply [grep { !/^<std/ } @public], [], 'the public header includes nothing of ours';

for my $file (@files, glob "$source/t/unit/*.c $source/t/*.c $source/t/fuzz/*.c") {
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
