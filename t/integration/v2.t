# etcd's v2 API: the lock of the npm tool etcd-lock 1.x, alone and side by side with it.
use strict;
use warnings;
use Etcdlocker::Proxy;
use Etcdlocker::Stamps;
use Etcdlocker::Test;
use HTTP::Tiny;
use IO::Socket::INET;
use Test::More;

etcd_need();
plan skip_all => 'this etcd has no v2 API' if !etcd_has_v2();

my $build = $ENV{BUILD_DIR};
my $count = 0;

sub v2 { my (@words) = @_; return ('--api', 'v2', @words) }
# What etcd answers to METHOD on KEY, with FORM.
sub v2_ask {
    my ($method, $key, $form) = @_;
    my $http = HTTP::Tiny->new(timeout => 10);
    my %options = $form ? (content => $http->www_form_urlencode($form), headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }) : ();
    return $http->request($method, 'http://' . etcd_endpoint() . "/v2/keys$key", \%options)->{content};
}
sub there { my ($key) = @_; return v2_ask('GET', $key) !~ /"errorCode":100/ }

sub hold {
    my ($key, @words) = @_;
    my $n = ++$count;
    my $owner = start_locker([v2('-k', $key, '-i', "holder $n", '-t', 4, @words), '--', 'sh', '-c', "trap '' TERM; echo > $dir/running$n; while [ ! -e $dir/go$n ]; do sleep 0.02; done; exit 7"]);
    ok wait_until(sub { -e "$dir/running$n" }, 10), "holder $n runs";
    $owner->{go} = "$dir/go$n";
    return $owner;
}

# --- without the API ---

{
    my $without = etcd_start();
    my $run = run_locker([v2('-k', '/x'), '--', 'true']);
    is $run->{code}, 1, 'a server without the v2 API: 1';
    like $run->{stderr}, qr/no etcd v2 API .*--enable-v2/, 'and says what switches it on';
    etcd_stop($without);
}

{
    my $only = etcd_start(arguments => ['--enable-v2', '--enable-grpc-gateway=false']);
    my $run = run_locker(['-k', '/x', '--', 'true']);
    is $run->{code}, 1, 'a server with the v2 API alone, and v3 is asked for: 1';
    like $run->{stderr}, qr/no etcd v3 JSON API .*--enable-grpc-gateway/, 'and says what switched it off';
    is run_locker([v2('-k', '/x'), '--', 'true'])->{code}, 0, 'while v2 works';
    etcd_stop($only);
}

{
    # Emptied, with the same flags: an event that it will have in the future tells nothing.
    my $first = etcd_start(arguments => ['--enable-v2']);
    v2_ask('PUT', '/x', { value => $_ }) for 1 .. 5;
    my $owner = hold('/emptied', '-t', 60);
    etcd_stop($first, 'KILL');
    my $again = etcd_start(arguments => ['--enable-v2'], port => $first->{port}, peer => $first->{peer});
    my $since = now();
    is finish($owner), 2, 'etcd comes back empty: lost, 2';
    cmp_ok now() - $since, '<', 10, 'long before the renewal that would have told';
    etcd_stop($again);
}

my $etcd = etcd_start(arguments => ['--enable-v2']);

# --- the main job ---

{
    my $run = run_locker([v2('-k', '/main/job', '-i', 'me'), '--', 'sh', '-c', 'echo $ETCD_LOCK_REV $ETCD_LOCK_OWNER_KEY $ETCD_LOCK_CREATE_REV; exit 7']);
    is $run->{code}, 7, "the command's code";
    like $run->{stdout}, qr{^(\d+) /main/job \1$}, 'the index, and the key';
    ok !there('/main/job'), 'the key is gone';
    my $variable = run_locker(['-k', '/main/job', '--', 'sh', '-c', 'echo $ETCD_LOCK_OWNER_KEY'], env => { ETCD_LOCK_API => 2 });
    is $variable->{stdout}, "/main/job\n", 'ETCD_LOCK_API=2 is --api v2';
    my $odd = run_locker([v2('-k', "/odd key/100%/\xc3\xa9", '-i', "an id & more"), '--', 'true']);
    is $odd->{code}, 0, 'keys and ids of any characters' or diag $odd->{stderr};
    like $odd->{stderr}, qr/etcd-lock 1\.x .* locks another one/, 'but not beside etcd-lock 1.x, which is said';
    is run_locker([v2('-k', '/plain-key_1.x~y', '-i', 'me'), '--', 'true'])->{stderr}, '', 'where it matters';
    chomp(my $host = `uname -n`);
    like run_locker([v2('-k', '/plain'), '--', 'true'])->{stderr}, qr{with the v2 API our id is \Q$host\E/etcdlocker: an etcd-lock 1\.x on this host would take }, 'and so is the default id, which is none of its own';
    like run_locker([v2('-k', '/plain', '-i', $host), '--', 'true'])->{stderr}, qr/with the v2 API an etcd-lock 1\.x on this host would take our key for its own/, 'and where it is one, that';
    my $mine = start_locker([v2('-k', '/mine'), '--', 'sleep', '100']);
    ok wait_until(sub { run_locker([v2('-k', '/mine', '--status', '--mine')])->{code} == 0 }, 10), '--mine goes by it, too';
    kill 'TERM', $mine->{pid};
    finish($mine);
    my $directory = run_locker([v2('-k', '/main'), '--', 'true']);
    is $directory->{code}, 1, 'a key that is a directory: 1';
    like $directory->{stderr}, qr/directory/, 'and says so';
}

{
    my $owner = hold('/queue');
    like v2_ask('GET', '/queue'), qr/"value":"holder \d+"/, 'the key has the id';
    my $try = run_locker([v2('-k', '/queue', '--try', '-E', 75), '--', 'true']);
    is $try->{code}, 75, '--try: refused';
    like $try->{stderr}, qr/held by holder/, 'by whom';
    my $same = run_locker([v2('-k', '/queue', '-i', 'holder ' . $count, '-w', '500ms'), '--', 'true']);
    is $same->{code}, 1, 'the same id does not share it';
    my @waiters = map { start_locker([v2('-k', '/queue', '-i', "waiter $_", '-v'), '--', 'sh', '-c', "echo $_ >> $dir/order"]) } 1 .. 5;
    ok wait_until(sub { !grep { slurp($_->{err}) !~ /waiting for/ } @waiters }, 10), 'five wait';
    # Renewed while they wait: the lock outlives its TTL.
    my $index = sub { (v2_ask('GET', '/queue') =~ /"modifiedIndex":(\d+)/)[0] };
    my $first = $index->();
    ok wait_until(sub { $index->() > $first }, 10), 'renewed';
    spew($owner->{go}, '');
    is finish($owner), 7, 'the holder ends';
    is finish($_), 0, 'a waiter gets its turn' for @waiters;
    is scalar(() = slurp("$dir/order") =~ /\n/g), 5, 'all have run';
    ok !there('/queue'), 'no key is left';
}

{
    # Others write between a release and the next one's key, and so do the waiters: nobody takes that for a holder that
    # has vanished, or it would wait for the lock delay.
    my $owner = hold('/busy', '--lock-delay', '100s');
    my $writer = fork // die;
    if (!$writer) {
        v2_ask('PUT', '/elsewhere', { value => 1 }) while getppid != 1;
        require POSIX;
        POSIX::_exit(0);
    }
    my @waiters = map { start_locker([v2('-k', '/busy', '-i', "waiter $_", '--lock-delay', '100s', '-v'), '--', 'true']) } 1 .. 5;
    ok wait_until(sub { !grep { slurp($_->{err}) !~ /waiting for/ } @waiters }, 10), 'five wait in a store that others write to';
    my $since = now();
    spew($owner->{go}, '');
    is finish($owner), 7, 'the holder ends';
    is finish($_), 0, 'a waiter gets its turn' for @waiters;
    cmp_ok now() - $since, '<', 60, 'and none waits for the lock delay';
    kill 'KILL', $writer;
    waitpid $writer, 0;
}

# --- answers that take longer than a try ---

{
    my $slow = proxy_start($etcd->{endpoint}, undef, delay => 1.2);
    my $run = run([$locker, '-v', '-e', $slow->{endpoint}, v2('-k', '/slow', '-i', 'me', '-t', 20, '-w', '45s'), '--', 'true'], seconds => 60);
    is $run->{code}, 0, 'answers of 1.2 s: a free lock is had';
    is(() = $run->{stderr} =~ m{/v2/keys/slow\?prevExist=false}g, 0, 'with the first creation, which was not given up') or diag $run->{stderr};
    ok wait_until(sub { !there('/slow') }, 10), 'no key is left';
    proxy_stop($slow);

    # An answer that is lost costs a TTL, not more.
    my $lossy = proxy_start($etcd->{endpoint}, qr{^PUT \S+prevExist=false});
    $run = run([$locker, '-v', '-e', $lossy->{endpoint}, v2('-k', '/lost', '-i', 'me', '-t', 4, '-w', '45s'), '--', 'true'], seconds => 60);
    is $run->{code}, 0, 'the answer to the creation is lost: the lock is had when that one ends';
    like $run->{stderr}, qr/held by me, /, 'which is called by its own id';
    unlike $run->{stderr}, qr/another one/, 'and not another one';
    proxy_stop($lossy);
}

# --- losses ---

for my $loss (['deleted', sub { v2_ask('DELETE', $_[0]) }], ['overwritten', sub { v2_ask('PUT', $_[0], { value => 'thief' }) }],
    ['renewed by another one of the same id', sub { v2_ask('PUT', $_[0], { value => "holder $count", prevValue => "holder $count", ttl => 60 }) }]) {
    my ($name, $act) = @$loss;
    my $owner = hold('/loss');
    my $since = now();
    $act->('/loss');
    is finish($owner), 2, "$name: 2";
    cmp_ok now() - $since, '<', 2, 'at once, though the command ignores TERM';
    like $owner->{stderr}, qr/lost: its key \S+ (?:is gone|was changed from outside)/, 'and why';
    is there('/loss') ? 1 : 0, $name eq 'deleted' ? 0 : 1, 'what is somebody else\'s by now is left alone';
    v2_ask('DELETE', '/loss');
}

{
    # Single answers come 0.8 s late: a read of the key that comes after its renewal.
    my $proxy = proxy_start($etcd->{endpoint}, undef, late => qr{^GET \S+quorum=true}, late_by => 0.8);
    my $owner = start([$locker, '-v', '-e', $proxy->{endpoint}, v2('-k', '/late', '-t', 10, '-r', '0.7', '-g', '1s'), '--', 'sh', '-c', 'sleep 8; exit 42']);
    wait_until(sub { slurp($owner->{err}) =~ /RUNNING/ }, 10, 'the command to run');
    for my $round (1 .. 6) {
        proxy_cut_watches($proxy);
        wait_until(sub { 0 }, 0.9);
    }
    is finish($owner), 42, 'reads that come late cost a holder nothing' or diag $owner->{stderr};
    proxy_stop($proxy);
}

{
    # An outage over the moment at which the key is to be renewed, with a read under way.
    my $owner = start_locker([v2('-v', '-k', '/outage', '-t', 16, '-r', 4, '-g', '500ms'), '--', 'sh', '-c', 'sleep 18; exit 42']);
    wait_until(sub { slurp($owner->{err}) =~ /RUNNING/ }, 10, 'the command to run');
    wait_until(sub { 0 }, 2);
    etcd_stop($etcd, 'KILL');
    my $down = IO::Socket::INET->new(Listen => 64, ReuseAddr => 1, LocalAddr => '127.0.0.1', LocalPort => $etcd->{port}) or die "no port: $!";
    wait_until(sub { 0 }, 3);
    close $down;
    $etcd = etcd_start(arguments => ['--enable-v2'], port => $etcd->{port}, peer => $etcd->{peer}, data => $etcd->{data});
    is finish($owner), 42, 'an outage over a renewal, with a read under way, costs nothing' or diag $owner->{stderr};
}

{
    my $owner = hold('/cut');
    my (undef, undef, $command) = family_of($owner);
    my $since = now();
    kill 'STOP', $etcd->{pid};
    ok wait_until(sub { !alive($command) }, 10), 'etcd is silent: the command is killed';
    cmp_ok now() - $since, '<', 4, 'before the key could expire';
    is finish($owner), 2, 'lost: 2';
    kill 'CONT', $etcd->{pid};
    my $next = run_locker([v2('-k', '/cut'), '--', 'true']);
    is $next->{code}, 0, 'the next one gets the lock when it has expired';
}

{
    my $owner = hold('/crash', '-t', 60);
    my $waiter = start_locker([v2('-k', '/crash', '-v'), '--', 'true']);
    wait_until(sub { slurp($waiter->{err}) =~ /waiting for/ }, 10, 'a waiter');
    kill 'KILL', children_of($owner->{pid});
    is finish($owner), 2, 'supervisor killed: 2';
    is finish($waiter, 5), 0, 'and the next one starts long before the key would expire';
}

{
    # 1000 events of the whole store are kept: both the holder's and the waiter's wait are from before them.
    my $owner = hold('/events', '-t', 60);
    my $waiter = start_locker([v2('-k', '/events', '-v'), '--', 'true']);
    wait_until(sub { slurp($waiter->{err}) =~ /waiting for/ }, 10, 'a waiter');
    kill 'STOP', $waiter->{pid}, children_of($waiter->{pid});
    v2_ask('PUT', "/noise/$_", { value => 'x' }) for 1 .. 1100;
    kill 'CONT', $waiter->{pid}, children_of($waiter->{pid});
    ok alive($owner->{pid}), 'the holder holds';
    spew($owner->{go}, '');
    is finish($owner), 7, 'its command ends';
    is finish($waiter), 0, 'and the waiter gets the lock';
}

{
    # An endpoint that answers nothing costs a try.
    my $proxy = proxy_start($etcd->{endpoint});
    my $owner = hold('/proxy', '-t', 5, '-e', "$proxy->{endpoint},$etcd->{endpoint}");
    proxy_freeze($proxy);
    my $index = sub { (v2_ask('GET', '/proxy') =~ /"modifiedIndex":(\d+)/)[0] };
    my $first = $index->();
    ok wait_until(sub { $index->() > $first }, 10), 'a silent endpoint: renewed through the other one';
    spew($owner->{go}, '');
    is finish($owner), 7, 'and nothing is lost';
    proxy_thaw($proxy);
    proxy_stop($proxy);
}

{
    my $run = run(["$build/t/api", etcd_endpoint(), '/api', 'v2'], seconds => 60);
    is "$run->{code} $run->{stdout}", "0 good\n", "the library's promises hold, but for transactions" or diag $run->{stderr};
}

# --- lost answers ---

{
    # A creation that came through and whose answer did not: it may be anybody's, and ends by itself.
    my $proxy = proxy_start($etcd->{endpoint}, qr/prevExist=false/);
    my $run = run_locker([v2('-k', '/lost/create', '-t', 3, '-e', $proxy->{endpoint}), '--', 'true'], seconds => 20);
    is $run->{code}, 0, 'the answer to a creation is lost: the lock comes all the same';
    cmp_ok $run->{seconds}, '>', 2, 'when the key that nobody claims has expired';
    proxy_stop($proxy);
}

{
    my $proxy = proxy_start($etcd->{endpoint}, qr/refresh=true/);
    my $owner = hold('/lost/renewal', '-t', 3, '-v', '-e', $proxy->{endpoint});
    ok wait_until(sub { slurp($owner->{err}) =~ /DOUBTFUL -> HELD/ }, 10), 'the answer to a renewal is lost: the index tells that it worked';
    spew($owner->{go}, '');
    is finish($owner), 7, 'and nothing is lost';
    proxy_stop($proxy);
}

{
    my $proxy = proxy_start($etcd->{endpoint}, qr/^DELETE /);
    my $run = run_locker([v2('-k', '/lost/delete', '-e', $proxy->{endpoint}), '--', 'true']);
    is $run->{code}, 0, 'the answer to the release is lost: nothing is said';
    ok !there('/lost/delete'), 'as the key is gone';
    proxy_stop($proxy);
}

# --- etcd-lock 1.x ---

SKIP: {
    my $seed = system('node --version > /dev/null 2>&1') == 0 ? npm_program('etcd-lock@1.1.0', '.bin/etcdlocker') : undef;
    skip 'node or npm is missing, or npm has no registry: no etcd-lock 1.x', 1 if !defined $seed;
    my $old = sub { my ($key, $id, @command) = @_; return start([$seed, '-e', etcd_endpoint(), '-k', $key, '-i', $id, '-t', 4, '--', @command]) };

    my $owner = hold('/mixed');
    my $waiter = $old->('/mixed', 'old', 'sh', '-c', "echo > $dir/old");
    my $third = start_locker([v2('-k', '/mixed', '-v'), '--', 'true']);
    wait_until(sub { slurp($third->{err}) =~ /waiting for/ }, 10, 'ours to wait');
    # It says nothing, so what it must not do is looked for while the lock outlives two TTLs.
    ok !wait_until(sub { -e "$dir/old" }, 8), 'we hold: 1.x waits';
    kill 'TERM', $third->{pid};
    is finish($third), 143, 'ours leaves';
    spew($owner->{go}, '');
    is finish($owner), 7, 'we release';
    ok wait_until(sub { -e "$dir/old" }, 10), '1.x gets the lock';
    finish($waiter);

    my $holder = $old->('/mixed', 'old', 'sleep', 5);
    ok wait_until(sub { there('/mixed') }, 10), '1.x holds';
    my $ours = start_locker([v2('-k', '/mixed', '-v', '-i', 'old'), '--', 'true']);
    ok wait_until(sub { slurp($ours->{err}) =~ /waiting for \S+: held by old/ }, 10), 'we wait, though it has our id';
    ok !wait_until(sub { slurp($ours->{err}) =~ /STARTING/ }, 2), 'as long as it holds';
    finish($holder, 20);
    is finish($ours, 20), 0, 'and get the lock when it releases';

    my $crashing = $old->('/mixed', 'old', 'sleep', 1);
    wait_until(sub { there('/mixed') }, 10, '1.x to hold');
    kill 'KILL', $crashing->{pid};
    finish($crashing);
    my $after = run_locker([v2('-k', '/mixed'), '--', 'true'], seconds => 20);
    is $after->{code}, 0, '1.x is killed: we get the lock when its key has expired';

    for my $crash (['our supervisor is killed', sub { kill 'KILL', children_of($_[0]{pid}) }, 4], ['all of us is killed', sub { my @all = ($_[0]{pid}, children_of($_[0]{pid})); kill 'KILL', @all, map { children_of($_) } @all }, 12]) {
        my ($name, $act, $limit) = @$crash;
        my $victim = hold('/mixed', '-t', $limit == 4 ? 60 : 4);
        unlink "$dir/old";
        my $heir = $old->('/mixed', 'old', 'sh', '-c', "echo > $dir/old");
        ok !wait_until(sub { -e "$dir/old" }, 2), 'we hold: 1.x waits';
        $act->($victim);
        finish($victim);
        ok wait_until(sub { -e "$dir/old" }, $limit), "$name: 1.x gets the lock";
        finish($heir);
    }

    my $unnamed = start_locker([v2('-k', '/unnamed', '-t', 4, '-v'), '--', 'sh', '-c', "while [ ! -e $dir/turn ]; do sleep 0.02; done; exit 7"]);
    ok wait_until(sub { slurp($unnamed->{err}) =~ /RUNNING/ }, 10), 'ours runs';
    my $cron = start([$seed, '-e', etcd_endpoint(), '-k', '/unnamed', '-t', 4, '--', 'touch', "$dir/unnamed"]);
    ok !wait_until(sub { -e "$dir/unnamed" }, 6), 'nobody has set an id, on one host: 1.x waits';
    spew("$dir/turn", '');
    is finish($unnamed), 7, 'we lose nothing by it';
    is finish($cron, 20), 0, 'and then 1.x has its turn';
    ok -e "$dir/unnamed", 'and runs';

    # 1.x takes a key with its own id for its own. We are told off, and must not give away what it holds then.
    my $robbed = start_locker([v2('-k', '/same', '-i', 'same', '-t', 10, '-v'), '--', 'sleep', '300']);
    wait_until(sub { slurp($robbed->{err}) =~ /RUNNING/ }, 10, 'ours to hold');
    my $next = start_locker([v2('-k', '/same', '-i', 'next', '-v'), '--', 'test', '-e', "$dir/over"]);
    wait_until(sub { slurp($next->{err}) =~ /waiting for/ }, 10, 'ours to wait');
    my $robber = $old->('/same', 'same', 'sh', '-c', "sleep 3; echo > $dir/over");
    is finish($robbed, 20), 2, '1.x with our id comes: lost, 2';
    is finish($next, 20), 0, 'and the next one waits until its command is over';
    finish($robber);

    # Ten of each, each on and off: never two together.
    # One process: 1.x does not wait for what its command leaves behind.
    my $stamper = spew("$dir/stamper", <<'PERL');
use Fcntl; use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);
my ($log, $seconds) = @ARGV;
sysopen my $out, $log, O_WRONLY | O_APPEND | O_CREAT or die;
my $end = clock_gettime(CLOCK_MONOTONIC) + $seconds;
while ((my $now = clock_gettime(CLOCK_MONOTONIC)) < $end) { syswrite $out, sprintf "%d 0 %.6f\n", $$, $now; sleep 0.005 }
PERL
    my $log = "$dir/stamps";
    my @all = map { ($old->('/loop', "old $_", $^X, $stamper, $log, '0.05'), start_locker([v2('-k', '/loop', '-i', "new $_", '-t', 4), '--', $^X, $stamper, $log, '0.05'])) } 1 .. 10;
    is scalar(grep { finish($_, 60) != 0 } @all), 0, 'ten of each: all have had their turn';
    my @runs = read_runs($log);
    is scalar(@runs), 20, 'each once';
    is check_runs(@runs)->{overlaps}, 0, 'and never two together';
    ok !there('/loop'), 'no key is left';
}

done_testing;
