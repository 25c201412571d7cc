# The documents agree with the code: options, variables and exit codes in --help, the manual, README, completions.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

my $source = $ENV{SOURCE_DIR};
my $help = run([$locker, '--help']);
is $help->{code}, 0, '--help exits with 0';
is $help->{stderr}, '', 'and says nothing on stderr';
my $version = run([$locker, '-V']);
my ($number) = slurp("$source/configure.ac") =~ /AC_INIT\(\[etcdlocker\], \[([\d.]+)\]/;
like $version->{stdout}, qr{\Aetcdlocker \Q$number\E\nlibcurl/\S+ \S+/\S+ libevent/\S+ jansson/\S+\n\z}, '--version prints what configure.ac says, and what is inside';

my $man = slurp("$source/man/etcdlocker.1");
like $man, qr/^\.TH ETCDLOCKER 1 \S+ "etcdlocker \Q$number\E"/m, 'so does the manual';
like slurp("$source/NEWS"), qr/^etcdlocker \Q$number\E /m, 'so does NEWS';
like slurp("$source/contrib/rpm/etcdlocker.spec"), qr/^Version: +\Q$number\E$/m, "so does rpm's spec";
like slurp("$source/contrib/apk/APKBUILD"), qr/^pkgver=\Q$number\E$/m, "so does Alpine's APKBUILD";
(my $plain_man = $man) =~ s/\\-/-/g;
my ($options_section) = $plain_man =~ /^\.SH OPTIONS\n(.*?)^\.SH /ms;

my (%options, %variables);
for my $line (split /\n/, $help->{stdout}) {
    $line =~ /^  (?:-(\w), |    )--([\w-]+)/ or next;
    $options{$2} = $1 // '';
    $variables{$1} = 1 if $line =~ /\[\$(\w+)\]/;
}
cmp_ok scalar(keys %options), '>', 15, '--help lists the options';

sub long_options { my ($text) = @_; my %found = map { $_ => 1 } $text =~ /--([a-z][\w-]+)/g; return sort keys %found }

is_deeply [long_options($options_section)], [sort keys %options], 'the manual has the same options';
for my $option (sort keys %options) {
    next if $options{$option} eq '';
    like $options_section, qr/-$options{$option} ", " --$option\b/, "the manual has -$options{$option} for --$option";
}
for my $file ('etcdlocker', '_etcdlocker', 'etcdlocker.fish') {
    my $completion = slurp("$source/contrib/completions/$file");
    $completion =~ s/ -l ([\w-]+)/ --$1/g if $file =~ /fish/;
    $completion =~ s/--fcs-skip// if $file =~ /fish/;
    is_deeply [long_options($completion)], [sort keys %options], "contrib/completions/$file has the same options";
}
my ($environment) = $plain_man =~ /^\.SH ENVIRONMENT\n(.*?)^\.SH /ms;
# Some have no option: the library's table has all of them, with those of etcdctl's.
$variables{$_} = 1 for slurp("$source/src/lock/config.c") =~ /"(ETCD(?:CTL)?_\w+)"/g;
my %described = map { $_ => 1 } $environment =~ /\b(ETCD(?:CTL)?_\w+)/g;
is_deeply [sort keys %described], [sort keys %variables], 'the manual has the same variables';

# The library's settings: the table of the code, the list in the header, and the page.
my @rows = map { [split / /] } split /\n/, qx($ENV{BUILD_DIR}/t/tables settings);
my @settings = sort map { $_->[0] } @rows;
cmp_ok scalar(@settings), '>', 15, 'the table of settings is there';
my ($list) = slurp("$source/src/lock/etcdlock.h") =~ m{^/\* What a client and a lock need to know.*?\n \*\n(.*?)\n \*\n}ms;
is_deeply [sort map { split /, / } $list =~ /^ \*   ((?:[a-z][a-z0-9-]*)(?:, [a-z][a-z0-9-]*)*)  /mg], \@settings, 'etcdlock.h lists the same settings';
(my $page = slurp("$source/man/etcdlock_config_new.3")) =~ s/\\-/-/g;
for my $row (@rows) {
    like $page, qr/\b\Q$row->[0]\E\b/, "etcdlock_config_new(3) has $row->[0]";
    like $environment, qr/\b$_\b/, "and the manual its variable $_" for grep { $_ =~ /^ETCD/ } @$row[1, 2];
}
my @changeable = map { $_->[0] } grep { grep { $_ eq 'changeable' } @$_ } @rows;
like slurp("$source/src/lock/etcdlock.h"), qr{/\* Change ttl, refresh, grace, wait or lock-delay}, 'etcdlock.h says what can be changed';
is_deeply \@changeable, [qw(ttl refresh grace wait lock-delay)], 'which is what the table has';

# The contract in doc/ speaks of no option that there is not.
my ($contract) = slurp("$source/doc/design.md") =~ /^## 2\. Command line\n(.*?)^## 3/ms;
my @unbuilt = grep { !exists $options{$_} } long_options($contract);
is_deeply \@unbuilt, [], 'doc/design.md knows the same options';

# Debian's packages
is_deeply [slurp("$source/debian/libetcdlock0.symbols") =~ /^ (etcdlock_\w+)@/mg], [split /\n/, slurp("$source/src/lock/libetcdlock.symbols")],
    'debian/libetcdlock0.symbols has what the library exports';
like slurp("$source/debian/changelog"), qr/\Aetcdlocker \(\Q$number\E\) /, 'and debian/changelog the version';
for my $file (glob "$source/contrib/service/* $source/contrib/service/*/etcdlocker/*") {
    next if -d $file;
    my @unknown = grep { !exists $options{$_} } map { long_options($_) } grep { !/^\s*#|apt-get|configure|docker|COPY|FROM|HEALTHCHECK --/ && /etcdlocker |args|command: \[--/ } split /\n/, slurp($file);
    is_deeply \@unknown, [], "$file uses known options";
}

my $outcome = slurp("$source/src/etcdlocker/outcome.h");
my ($statuses) = $plain_man =~ /^\.SH EXIT STATUS\n(.*?)^\.SH /ms;
for my $code ($outcome =~ /^#define EXIT_(?!BY_SIGNAL)\w+ (\d+)$/mg) {
    like $statuses, qr/^\.B $code$/m, "exit code $code is in the manual";
    like $help->{stdout}, qr/\b$code\b/, 'in --help';
    like slurp("$source/README"), qr/\b$code\b/, 'and in README';
}

# Variables that the command gets, as the code names them.
my @own = map { slurp("$source/src/$_") =~ /"((?:ETCD|NODE|NOTIFY|WATCHDOG)_[A-Z_]+)=[%j]/g } qw(etcdlocker/supervisor_act.c etcdlocker/command.c child/pinger.c);
is scalar(@own), 9, 'the code names nine variables of the command';
my ($given) = $plain_man =~ /^\.SH ENVIRONMENT OF THE COMMAND\n(.*?)^\.SH /ms;
like $given, qr/^\.BR? .*\b$_\b/m, "$_ is in the manual" for @own;

my $readme = slurp("$source/README");
like $readme, qr{contrib/quickstart run\b}, 'README shows quickstart run';
like $readme, qr{contrib/quickstart check\b}, 'and quickstart check';
for my $example (grep { /etcdlocker -/ } split /\n/, $readme) {
    my ($words) = $example =~ /(etcdlocker -.*?)(?: -- |$)/;
    my @unknown = grep { !exists $options{$_} } long_options($words);
    is_deeply \@unknown, [], "README uses known options: $words";
}

SKIP: {
    skip 'no mandoc: install mandoc', 1 if system('command -v mandoc >/dev/null 2>&1') != 0;
    is qx{mandoc -T lint -W warning '$source/man/etcdlocker.1' 2>&1}, '', 'mandoc finds nothing in the manual';
}

done_testing;
