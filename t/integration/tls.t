# Production: three members behind mutual TLS, users with roles, tokens that end, certificates that are renewed.
use strict;
use warnings;
use Etcdlocker::Certificates;
use Etcdlocker::Terminal;
use Etcdlocker::Test;
use IO::Socket::INET;
use MIME::Base64;
use POSIX ();
use Test::More;

etcd_need();
openssl_need();

my $key = '/tls/lock';
my $ca = authority_new('ca');
my $server = certificate_new($ca, 'server');
my $client = certificate_new($ca, 'client');
my @trust = ('--cacert', "$ca.crt");
my @tls = (@trust, '--cert', "$client.crt", '--cert-key', "$client.key");
my @mutual = ('--cert-file', "$server.crt", '--key-file', "$server.key", '--trusted-ca-file', "$ca.crt", '--client-cert-auth');
@etcdctl_flags = ('--cacert', "$ca.crt", '--cert', "$client.crt", '--key', "$client.key");

# Runs `true` with ARGUMENTS: must not be let in, and say SAYS on its last line.
sub refused {
    my ($name, $says, @arguments) = @_;
    my $run = run([$locker, '-k', $key, '--connect-timeout', '3s', @arguments, '--', 'touch', "$dir/ran"]);
    is $run->{code}, 1, "$name: not acquired";
    like $run->{stderr}, qr/$says[^\n]*\n\z/, "$name: said";
    ok !-e "$dir/ran", "$name: the command did not run";
    return $run;
}

# How often OWNER has renewed its lease by now.
sub renewed { my ($owner) = @_; my $count = () = slurp($owner->{err}) =~ /renewed/g; return $count }

# --- the files, which are read when they have changed ---

# inotify(7), x86-64's and arm64's numbers: how often FILE is opened from now on, by a function that tells.
sub opens_of {
    my ($file) = @_;
    my ($init, $add) = (POSIX::uname())[4] eq 'x86_64' ? (294, 254) : (26, 27);
    my $fd = syscall $init, 04000; # IN_NONBLOCK
    die "inotify: $!" if $fd == -1 || syscall($add, $fd, "$file\0", 0x20) == -1; # IN_OPEN
    open my $events, '<&=', $fd or die $!;
    my $count = 0;
    # Each event of a file has 16 bytes.
    return sub { while (my $got = sysread $events, my $bytes, 4096) { $count += $got / 16 } return $count };
}

{
    my $etcd = etcd_start(secure => 1, arguments => \@mutual);
    my $file = "$dir/opened.crt";
    spew($file, slurp("$ca.crt"));
    wait_until(sub { (stat $file)[10] < time - 1 }, 5, 'the file to be no new one');
    my $opens = opens_of($file);
    my $owner = start([$locker, '-v', '-e', $etcd->{endpoint}, '--cacert', $file, '--cert', "$client.crt", '--cert-key', "$client.key", '-k', $key, '-t', 5, '--', 'sleep', '1000']);
    ok wait_until(sub { renewed($owner) > 1 }, 10), 'held for some time, with two connections';
    is $opens->(), 1, 'its authorities were read once';
    my $other = authority_new('another');
    spew("$file.new", slurp("$other.crt"));
    rename "$file.new", $file or die;
    wait_until(sub { (stat $file)[10] < time - 1 }, 5, 'the file to be no new one');
    etcd_stop($etcd);
    my $again = etcd_start(secure => 1, arguments => \@mutual, %$etcd{qw(port peer data)});
    ok wait_until(sub { slurp($owner->{err}) =~ /certificate/ }, 20), 'an authority that was taken out is noticed by the next connection';
    is finish($owner, 20), 2, 'and the lock is lost';
    etcd_stop($again);
}

# --- TLS alone ---

{
    my $etcd = etcd_start(secure => 1, arguments => \@mutual);
    my $url = $etcd->{endpoint};
    (my $bare = $url) =~ s{https://}{};
    is run([$locker, '-e', $url, @tls, '-k', $key, '--', 'true'])->{code}, 0, 'with a client certificate';
    is run([$locker, '-e', $bare, @tls, '-k', $key, '--', 'true'])->{code}, 0, 'an endpoint without a scheme is https then';
    spew("$dir/both.pem", slurp("$client.crt") . slurp("$client.key"));
    is run([$locker, '-e', $url, @trust, '--cert', "$dir/both.pem", '-k', $key, '--', 'true'])->{code}, 0, 'certificate and key in one file';
    is run([$locker, '-k', $key, '--', 'true'], env => { ETCDCTL_ENDPOINTS => $url, ETCDCTL_CACERT => "$ca.crt", ETCDCTL_CERT => "$client.crt",
        ETCDCTL_KEY => "$client.key" })->{code}, 0, "etcdctl's variables do";
    is run([$locker, '-e', $url, @tls, '-k', $key, '--', 'true'], env => { ETCDCTL_ENDPOINTS => 'http://127.0.0.1:1', ETCD_LOCK_CACERT => '/dev/null',
        ETCDCTL_CACERT => '/dev/null' })->{code}, 0, 'an option beats all variables';
    is run([$locker, '-e', $url, '-k', $key, '--', 'true'], env => { ETCD_LOCK_CACERT => "$ca.crt", ETCD_LOCK_CERT => "$client.crt",
        ETCD_LOCK_CERT_KEY => "$client.key", ETCDCTL_CACERT => '/nonexistent', ETCDCTL_CERT => '/nonexistent' })->{code}, 0, "ours beat etcdctl's";

    my $other = authority_new('other');
    my @own = ('-e', $url, @tls[2 .. 5], '-k', $key, '--connect-timeout', '3s');
    is run([$locker, @own, '--', 'true'], env => { SSL_CERT_FILE => "$ca.crt" })->{code}, 0, 'SSL_CERT_FILE names authorities';
    is run([$locker, @own, '--cacert', "$other.crt", '--', 'true'], env => { SSL_CERT_FILE => "$ca.crt" })->{code}, 1, 'but not beside --cacert';
    mkdir "$dir/authorities";
    spew("$dir/authorities/ca.pem", slurp("$ca.crt"));
    run(['openssl', 'rehash', "$dir/authorities"]);
    is run([$locker, @own, '--', 'true'], env => { SSL_CERT_DIR => "$dir/authorities" })->{code}, 0, 'and so does SSL_CERT_DIR';
    refused('another authority', qr/self-signed certificate|unable to get local issuer/, '-e', $url, @tls, '--cacert', "$other.crt");
    refused('the system\'s authorities', qr/self-signed certificate|unable to get local issuer/, '-e', $url, @tls[2 .. 5]);
    refused('no client certificate', qr/certificate required|bad certificate|alert|not connected|reset by peer/, '-e', $url, @trust);
    my $foreign = certificate_new($other, 'foreign');
    # etcd may have hung up before its reason is read.
    refused('a client certificate of somebody else', qr/unknown ca|bad certificate|alert|not connected|reset by peer/, '-e', $url, @trust, '--cert', "$foreign.crt", '--cert-key', "$foreign.key");
    refused('http to a port of https', qr/HTTP status 400|no etcd|Empty reply|client sent an HTTP request/i, '-e', "http://$bare");
    my $run = run([$locker, '-e', $url, @tls[2 .. 5], '--insecure-skip-verify', '-k', $key, '--', 'true']);
    is $run->{code}, 0, 'unchecked where that is asked for';
    like $run->{stderr}, qr/certificates are not checked/, 'loudly';

    # Names of files count from where we were started, though we go elsewhere.
    {
        my $file = "$dir/relative";
        my ($ca_file, $cert_file, $key_file) = map { s{.*/}{}r } "$ca.crt", "$client.crt", "$client.key";
        my $owner = start([$locker, '-v', '-e', $url, '--cacert', $ca_file, '--cert', $cert_file, '--cert-key', $key_file, '-k', $key, '-t', 20, '-r', 1, '--', 'sh', '-c', "echo on > $file; while [ -e $file ]; do sleep 0.05; done; exit 42"],
            before => sub { chdir $ca =~ s{/[^/]*$}{}r });
        ok wait_until(sub { -e $file }, 10), 'relative names: a holder' or diag slurp($owner->{err});
        etcd_stop($etcd, 'KILL');
        $etcd = etcd_start(secure => 1, arguments => \@mutual, %$etcd{qw(port peer data)});
        my $before = renewed($owner);
        ok wait_until(sub { renewed($owner) > $before }, 10), 'renews over new connections';
        unlink $file;
        is finish($owner), 42, 'and ends as it likes';
    }

    SKIP: {
        skip 'not root: no mount namespace to be had', 2 if $> != 0 || system('unshare -m true 2> /dev/null') != 0;
        # As if the system trusted who has signed etcd's certificate.
        mkdir "$dir/system";
        spew("$dir/system/authority.pem", slurp("$ca.crt"));
        run(['openssl', 'rehash', "$dir/system"]);
        spew("$dir/system/ca-certificates.crt", slurp("$other.crt"));
        my @with_system = ('unshare', '-m', 'sh', '-c', "mount --bind $dir/system /etc/ssl/certs && exec \"\$@\"", 'sh', $locker, '-e', $url, '--cert', "$client.crt", '--cert-key', "$client.key", '-k', $key, '--connect-timeout', '3s');
        is run([@with_system, '--', 'true'])->{code}, 0, 'whom the system trusts we trust';
        is run([@with_system, '--cacert', "$other.crt", '--', 'true'])->{code}, 1, 'but not beside --cacert';
    }

    {
        run(['openssl', 'ec', '-aes128', '-passout', 'pass:secret', '-in', "$client.key", '-out', "$dir/locked.key"]);
        my $terminal = terminal_start([$locker, '-e', $url, @trust, '--cert', "$client.crt", '--cert-key', "$dir/locked.key", '-k', $key, '--connect-timeout', '3s', '--', 'true']);
        is finish($terminal->{process}), 1, 'a key with a pass phrase is refused';
        unlike slurp($terminal->{process}{out}), qr/pass phrase:/, 'and nobody is asked for it';
        leave($terminal);
    }

    refused('another certificate\'s key', qr/cert and cert-key must be PEM and belong together/, '-e', $url, @trust, '--cert', "$client.crt", '--cert-key', "$server.key");
    refused('authorities that are none', qr/cacert must be PEM/, '-e', $url, '--cacert', "$client.key");
    refused('http to a TLS port', qr/does it want https\?/, '-e', "http://$bare");

    is run([$locker, '-e', $url, @trust, '--cert', "$dir/both.pem", '-k', $key, '--', 'true'], env => { ETCDCTL_KEY => "$ca.key" })->{code}, 0, "etcdctl's key is not for a certificate of ours";

    for my $case (
        [qr/every user of this machine can read a command line; use --password-file/, '--password', 'hunter2'],
        [qr/every user of this machine can read a command line; use --password-file/, '--password'],
        [qr/unknown option --usr; see/, '--usr=al:hunter2'],
        [qr/endpoint '\.\.\.\@etcd:2379' has a user in it/, '-e', 'https://al:hunter2@etcd:2379'],
        [qr/--cacert: cannot read '\/nonexistent': No such file/, '--cacert', '/nonexistent'],
        [qr/--cert: cannot read/, '--cert', '/nonexistent'],
        [qr/key of a client certificate, but no certificate/, '--cert-key', "$client.key"],
        [qr/--tls-server-name: 'a b' is not a host name/, '--tls-server-name', 'a b'],
        [qr/--password-file: no password in '\/nonexistent': No such file/, '--password-file', '/nonexistent'],
        [qr/--password-file: no password in '\/dev\/null': its first line is empty/, '--password-file', '/dev/null'],
        [qr/a password, but no user/, '--password-file', "$ca.crt"],
        [qr/--user: there is no name/, '--user', ':secret'],
        [qr/user 'al' needs a password: say --password-file/, '--user', 'al'],
    ) {
        my ($says, @arguments) = @$case;
        my $bad = run(['setsid', '-w', $locker, '-k', $key, @arguments, '--', 'true']);
        is $bad->{code}, 64, "@arguments: 64";
        like $bad->{stderr}, qr/\Aetcdlocker: [^\n]*$says[^\n]*\n\z/, 'said in one line';
        unlike $bad->{stderr}, qr/hunter2/, 'without a password';
    }
    etcd_stop($etcd);

    my $expired = certificate_new($ca, 'expired', days => 0);
    $etcd = etcd_start(secure => 1, arguments => ['--cert-file', "$expired.crt", '--key-file', "$expired.key"]);
    refused('an expired certificate', qr/certificate has expired/, '-e', $etcd->{endpoint}, @trust);
    etcd_stop($etcd);

    my $elsewhere = certificate_new($ca, 'elsewhere', names => 'DNS:etcd.example.org');
    $etcd = etcd_start(secure => 1, arguments => ['--cert-file', "$elsewhere.crt", '--key-file', "$elsewhere.key"]);
    refused('a certificate for another name', qr/does not match|no alternative certificate subject name matches/, '-e', $etcd->{endpoint}, @trust);
    is run([$locker, '-e', $etcd->{endpoint}, @trust, '--tls-server-name', 'etcd.example.org', '-k', $key, '--', 'true'])->{code}, 0,
        'with --tls-server-name that is the name';
    etcd_stop($etcd);
}

# --- a cluster of three with users ---

my $password = 'se"cr\\et ' . chr(0xc3) . chr(0xa4);
my $file = spew("$dir/password", "$password\nsecond line\n");
my @user = ('--user', 'al', '--password-file', $file);
# A token that is not used for 2 s ends, and a renewal comes every 4 s.
my @members = cluster_start(secure => 1, arguments => [@mutual, '--auth-token-ttl', '2']);
my $cluster = etcd_endpoint();

sub as_root { return etcdctl('--user', 'root:root', @_) }
etcdctl('user', 'add', 'root:root');
etcdctl('user', 'grant-role', 'root', 'root');
etcdctl('user', 'add', "al:$password");
etcdctl('role', 'add', 'locker');
etcdctl('role', 'grant-permission', '--prefix', 'locker', 'readwrite', '/tls/');
etcdctl('user', 'grant-role', 'al', 'locker');
etcdctl('auth', 'enable');
push @etcdctl_flags, '--user', 'root:root';

sub hold {
    my ($file, @arguments) = @_;
    my $owner = start_locker(['-v', @tls, '-k', $key, '-t', 12, '-r', 4, @arguments, '--', 'sh', '-c', "env > $file.env; echo on > $file; while [ -e $file ]; do sleep 0.05; done; exit 42"]);
    $owner->{file} = $file;
    ok wait_until(sub { -e $file }, 20, 'a holder'), 'a holder runs' or diag slurp($owner->{err});
    return $owner;
}

sub release {
    my ($owner, $name) = @_;
    unlink $owner->{file};
    is finish($owner), 42, $name or diag $owner->{stderr};
    return;
}

sub renewals { my ($owner) = @_; my $count = () = slurp($owner->{err}) =~ /etcd knows us as al/g; return $count }

# One after the other.
sub restart_all {
    for my $member (@members) {
        kill 'TERM', $member->{pid};
        finish($member);
        member_start($member);
        cluster_ready(@members);
    }
    return;
}

# Waits until OWNER has renewed its lease COUNT times more with a new token.
sub renews {
    my ($owner, $count, $name) = @_;
    my $before = renewals($owner);
    ok wait_until(sub { renewals($owner) >= $before + $count || !alive($owner->{pid}) }, 30) && alive($owner->{pid}), $name
        or diag slurp($owner->{err});
    return;
}

{
    my $owner = hold("$dir/held", @user);
    my $waiter = start_locker(['-v', @tls, @user, '-k', $key, '-t', 5, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    renews($owner, 3, 'it renews, though every token has ended meanwhile');
    like slurp($owner->{err}), qr/does not know our token any more/, 'and fetches another one each time';

    my $victim = $members[0];
    kill 'KILL', $victim->{pid};
    finish($victim);
    renews($owner, 2, 'one member is gone');
    member_start($victim);
    cluster_ready(@members);

    # Everything is renewed: first both authorities are trusted, then the certificates are of the new one. Members take up
    # authorities when they start, certificates for each connection.
    my $new = authority_new('ca2');
    spew("$ca.crt", slurp("$ca.crt") . slurp("$new.crt"));
    restart_all();
    certificate_new($new, $_) for qw(server client);
    restart_all();
    spew("$ca.crt", slurp("$new.crt"));
    renews($owner, 3, 'all certificates are new, and every member has restarted');
    release($owner, 'and it ends as it likes');
    is finish($waiter, 30), 0, 'the waiter has its turn' or diag $waiter->{stderr};
    is_deeply [keys_left('/tls')], [], 'nothing is left';
}

{
    refused('a wrong password', qr/authentication failed, invalid user ID or password \(user al\)/, '-e', $cluster, @tls, '--user', 'al', '--password-file', "$ca.crt");
    refused('no such user', qr/authentication failed/, '-e', $cluster, @tls, '--user', 'bob', '--password-file', $file);
    refused('no user', qr/user name is empty: this etcd wants a user and a password/, '-e', $cluster, @tls);
    my $run = refused('no role for that key', qr/permission denied: user al needs a role with readwrite permission on the keys from \/other\/ to \/other0 \(etcdctl role grant-permission ROLE readwrite --prefix \/other\/\)/,
        '-e', $cluster, @tls, @user, '-k', '/other');
    my $named = certificate_new("$dir/ca2", 'named', subject => '/CN=al');
    refused('a certificate with a name', qr/no client certificate with a common name/, '-e', $cluster, @trust, '--cert', "$named.crt", '--cert-key', "$named.key", @user);
    is run([$locker, '-e', $cluster, @tls, @user, '-k', $key, '--status'])->{code}, 1, '--status: free';
}

# --- which one counts, where there are several ---

{
    my $bad = spew("$dir/bad", "nonsense\n");
    for my $case (
        [{ ETCD_LOCK_PASSWORD_FILE => $bad }, '--user', "al:$password"],
        [{ ETCDCTL_USER => 'al:nonsense' }, '--user', 'al', '--password-file', $file],
        [{ ETCDCTL_USER => 'al:nonsense' }, '--password-file', $file],
        [{ ETCDCTL_USER => 'al:nonsense', ETCD_LOCK_PASSWORD_FILE => $file }],
        [{ ETCDCTL_USER => 'al:nonsense', ETCD_LOCK_PASSWORD => $password }],
        [{ ETCDCTL_PASSWORD => 'nonsense', ETCD_LOCK_USER => "al:$password" }],
    ) {
        my ($env, @arguments) = @$case;
        my $run = run([$locker, '-e', $cluster, @tls, '-k', $key, '--connect-timeout', '5s', @arguments, '--', 'true'], env => $env);
        is $run->{code}, 0, join ' ', 'the right one of', (map { $_ } sort keys %$env), grep { /^--/ } @arguments or diag $run->{stderr};
    }
    my $run = run(['sh', '-c', '{ cat "$1"; echo data; } | { shift; exec "$@"; }', 'sh', $file, $locker, '-e', $cluster, @tls, '--user', 'al', '--password-file', '/dev/stdin', '-k', $key, '--', 'cat']);
    is $run->{stdout}, "second line\ndata\n", "what is behind a password's line is the command's" or diag $run->{stderr};
}

# --- a password that is changed: first in etcd, a while later in the file ---

{
    my $own = spew("$dir/changing", "first\n");
    my @changing = ('--user', 'carol', '--password-file', $own);
    etcdctl('user', 'add', 'carol:first');
    etcdctl('user', 'grant-role', 'carol', 'locker');
    my $owner = hold("$dir/change", @changing, '-t', 20, '-r', 1);
    my $waiter = start_locker(['-v', @tls, @changing, '-k', $key, '-t', 6, '-r', 1, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    etcdctl('user', 'passwd', '--interactive=false', 'carol', { stdin => spew("$dir/second", 'second') });
    ok wait_until(sub { 2 == grep { slurp($_->{err}) =~ /etcd gives user carol no token/ } $owner, $waiter }, 20), 'both are told that it is not good any more';
    ok wait_until(sub { 2 <= (() = slurp($owner->{err}) =~ /user carol: .*; next try in \S+, or when the file changes/g) }, 15), 'and -v says when the next try is, each time' or diag slurp($owner->{err});
    my $before = renewed($owner);
    spew($own, "second\n");
    ok wait_until(sub { renewed($owner) > $before }, 10), 'the holder goes on with the new one';
    release($owner, 'and ends as it likes');
    is finish($waiter, 30), 0, 'so does the waiter' or diag $waiter->{stderr};
    # One that cannot get better.
    $owner = hold("$dir/change", @user, '-t', 20);
    $waiter = start_locker(['-v', @tls, '--user', 'carol:second', '-k', $key, '-t', 6, '-r', 1, '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    etcdctl('user', 'delete', 'carol');
    is finish($waiter, 30), 1, 'without a file there is nothing to wait for';
    release($owner, 'the other one holds on');
}

# --- where the password is not ---

for my $way (
    ['on the command line', { }, '--user', "al:$password"],
    ['in ETCD_LOCK_PASSWORD', { ETCD_LOCK_PASSWORD => $password, ETCD_LOCK_USER => 'al' }],
    ["in etcdctl's variables", { ETCDCTL_PASSWORD => $password, ETCDCTL_USER => 'al' }],
    ["with etcdctl's user", { ETCDCTL_USER => "al:$password" }],
    ['in a pipe', { }, '--user', 'al', '--password-file', '/dev/stdin'],
) {
    my ($name, $env, @arguments) = @$way;
    my $run = "$dir/way";
    local @ENV{keys %$env} = values %$env;
    my $owner = start_locker(['-v', @tls, '-k', $key, '-t', 5, @arguments, '--', 'sh', '-c', "env > $run.env; echo on > $run; while [ -e $run ]; do sleep 0.05; done; exit 42"], stdin => $file);
    $owner->{file} = $run;
    ok wait_until(sub { -e $run }, 20), "a password $name lets us in" or diag slurp($owner->{err});
    my @ours = ($owner->{pid}, children_of($owner->{pid}));
    cmp_ok scalar @ours, '>=', 2, 'sentinel and supervisor';
    for my $pid (@ours) {
        unlike slurp("/proc/$pid/$_"), qr/cr\\et/, "it is not in $_" for qw(environ cmdline);
    }
    unlike slurp("$run.env"), qr/cr\\et/, 'nor in the environment of the command';
    unlike slurp($owner->{err}), qr/cr\\et/, 'nor in the log';
    if (@arguments && $arguments[1] =~ /:/) {
        like slurp($owner->{err}), qr/a password on the command line can be read/, 'that is warned of';
    } else {
        unlike slurp($owner->{err}), qr/on the command line/, 'no warning';
    }
    # Where it is, no core dump goes: a page of its own that says so.
    SKIP: {
        skip 'not to look into the memory of others (CAP_SYS_PTRACE)', 1 if !can_look_into($ours[0]);
        my @kept = grep { secret_at($_) } grep { -d "/proc/$_" } @ours;
        cmp_ok scalar @kept, '>=', 2, 'both keep it where no core dump sees it';
    }
    release($owner, "$name: it ends as it likes");
}

# Nor does one that is killed by what makes others dump a core. Root sees all, so as nobody.
SKIP: {
    skip 'not root', 3 if $> != 0;
    chmod 0755, $dir;
    mkdir "$dir/cores";
    chmod 0777, "$dir/cores";
    # No shell between: where we were built may be a place that nobody could not reach by itself, and setpriv can.
    my $run = start(['prlimit', '--core=unlimited:unlimited', 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
        $locker, '-e', $cluster, @trust, '--insecure-skip-verify', '--user', 'al', '-k', $key, '--connect-timeout', '20s', '--', 'true'],
        env => { ETCD_LOCK_PASSWORD => $password }, before => sub { chdir "$dir/cores" });
    ok wait_until(sub { slurp("/proc/$run->{pid}/comm") eq "etcdlocker\n" && ((stat "/proc/$run->{pid}/environ")[4] // 1) == 0 }, 10), 'with a password nobody but root can look into us';
    kill 'ABRT', $run->{pid};
    is finish($run), 128 + 6, 'killed by ABRT';
    is_deeply [glob "$dir/cores/*"], [], 'no core is dumped';
}

# True where a page of PID's that is marked "do not dump" begins with the password.
sub can_look_into { my ($pid) = @_; return open my $memory, '<:raw', "/proc/$pid/mem" }

sub secret_at {
    my ($pid) = @_;
    my $from;
    open my $memory, '<:raw', "/proc/$pid/mem" or return;
    for my $line (split /\n/, slurp("/proc/$pid/smaps")) {
        no warnings 'portable';
        $from = hex $1 if $line =~ /^([0-9a-f]+)-[0-9a-f]+ /;
        next if $line !~ /^VmFlags:.* dd\b/ || !defined $from;
        sysseek $memory, $from, 0 or next;
        my $bytes;
        return 1 if sysread($memory, $bytes, length $password) && $bytes eq $password;
    }
    return;
}

# --- asked for on the terminal ---

{
    my @ask = ($locker, '-e', $cluster, @tls, '--user', 'al', '-k', $key, '--', 'echo', 'let', 'in');
    my $terminal = terminal_start([@ask]);
    ok shows($terminal, qr/Password of al for etcd: \z/, 'a question'), 'the password is asked for';
    type($terminal, "$password\n");
    ok shows($terminal, qr/let in/, 'the command'), 'and lets us in';
    is finish($terminal->{process}), 0, 'the command ends as it likes';
    unlike slurp($terminal->{process}{out}), qr/cr/, 'what was typed was not shown';
    leave($terminal);

    $terminal = terminal_start([@ask]);
    shows($terminal, qr/Password/, 'a question');
    type($terminal, "wrong\n");
    ok shows($terminal, qr/authentication failed/, 'a refusal'), 'a wrong one is refused';
    is finish($terminal->{process}), 1, 'with 1';
    leave($terminal);

    $terminal = terminal_start([@ask]);
    shows($terminal, qr/Password/, 'a question');
    type($terminal, "\n");
    ok shows($terminal, qr/password of user 'al': the password is empty/, 'a refusal'), 'an empty one is no password';
    is finish($terminal->{process}), 64, 'with 64';
    leave($terminal);

    my $shell = shell();
    type($shell, "@ask\n");
    shows($shell, qr/Password of al for etcd: /, 'a question');
    type($shell, "half\cC");
    shows($shell, qr/PROMPT/, 'the shell again');
    type($shell, "echo code \$? visible\n");
    ok shows($shell, qr/echo code \$\? visible.*code 130 visible/s, 'what is typed'), 'Ctrl-C ends the question, and the terminal shows again what is typed';
    leave($shell);
}

# --- tokens that say when they end ---

{
    run(['openssl', qw(genrsa -out), "$dir/jwt.key", '2048']);
    run(['openssl', qw(rsa -in), "$dir/jwt.key", '-pubout', '-out', "$dir/jwt.pub"]);
    @etcdctl_flags = ();
    my $etcd = etcd_start(arguments => ['--auth-token', "jwt,pub-key=$dir/jwt.pub,priv-key=$dir/jwt.key,sign-method=RS256,ttl=6s"]);
    # Users are not on yet: a name does no harm.
    is run_locker([@user, '-k', $key, '--', 'true'])->{code}, 0, 'a user where there are none';
    etcdctl('user', 'add', 'root:root');
    etcdctl('user', 'grant-role', 'root', 'root');
    my $file = "$dir/jwt";
    spew("$dir/root", "root\n");
    my $owner = start_locker(['-v', '-k', $key, '-t', 20, '-r', 1, '--user', 'root', '--password-file', "$dir/root", '--', 'sh', '-c', "echo on > $file; while [ -e $file ]; do sleep 0.05; done; exit 42"]);
    ok wait_until(sub { -e $file }, 20), 'a holder runs while users are off';
    etcdctl('auth', 'enable');
    ok wait_until(sub { my $count = () = slurp($owner->{err}) =~ /knows us as root/g; $count >= 3 }, 20), 'users are on: it gets tokens, again and again';
    my $count = () = slurp($owner->{err}) =~ /does not know our token/g;
    is $count, 1, 'each before the last one has ended, but for the first, which was none' or diag slurp($owner->{err});
    @etcdctl_flags = ('--user', 'root:root');
    # Users and roles change, and all streams break: those that follow must not be refused for their old token.
    my $next = start_locker(['-v', '-k', $key, '-t', 60, '--user', 'root', '--password-file', "$dir/root", '--', 'true']);
    wait_until(sub { keys_left($key) == 2 }, 10, 'a waiter to queue');
    etcdctl('role', 'add', 'more');
    etcd_stop($etcd, 'KILL'); # 3.5 takes 10 s to end by itself while there are streams
    $etcd = etcd_start(%$etcd{qw(port peer data)}, arguments => ['--auth-token', "jwt,pub-key=$dir/jwt.pub,priv-key=$dir/jwt.key,sign-method=RS256,ttl=600s"]);
    ok wait_until(sub { slurp($next->{err}) =~ /does not know our token/ }, 10), 'a stream that is refused for an old token leads to another one';
    release({ %$owner, file => $file }, 'and it ends as it likes');
    my $since = now();
    is finish($next), 0, 'who waited has its turn';
    cmp_ok now() - $since, '<', 5, 'at once';
    etcd_stop($etcd);
    @etcdctl_flags = ();
}

# --- the v2 API: name and password with every request ---

sub http {
    my ($etcd, $method, $path, $body, $authorization) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $etcd->{endpoint}, Timeout => 5) or die "connect: $!";
    print $socket "$method $path HTTP/1.0\r\nContent-Type: application/json\r\n", $authorization ? "Authorization: Basic $authorization\r\n" : '',
        'Content-Length: ', length $body, "\r\n\r\n$body";
    local $/;
    return <$socket> // '';
}

SKIP: {
    skip 'this etcd has no v2 API', 9 if !etcd_has_v2();
    my $etcd = etcd_start(arguments => ['--enable-v2']);
    my $root = encode_base64('root:root', '');
    like http($etcd, 'PUT', '/v2/auth/users/root', '{"user":"root","password":"root"}'), qr/ 201 /, 'a user of v2';
    http($etcd, 'PUT', '/v2/auth/users/al', '{"user":"al","password":"pw"}');
    http($etcd, 'PUT', '/v2/auth/enable', '');
    http($etcd, 'PUT', '/v2/auth/roles/guest', '{"role":"guest","revoke":{"kv":{"read":["/*"],"write":["/*"]}}}', $root);
    is run_locker(['--api', 'v2', '--user', 'root', '--password-file', "$dir/root", '-k', $key, '--', 'true'])->{code}, 0, 'v2: with name and password';
    my $run = run_locker(['--api', 'v2', '-k', $key, '--', 'true']);
    is $run->{code}, 1, 'v2: without';
    like $run->{stderr}, qr/user authentication \(Insufficient credentials\)\n\z/, 'said';
    # The password changes while the lock is held.
    my $changing = spew("$dir/v2-password", "root\n");
    my $owner = start_locker(['-v', '--api', 'v2', '--user', 'root', '--password-file', $changing, '-k', $key, '-t', 20, '-r', 1, '--', 'sh', '-c', 'exec sleep 100']);
    wait_until(sub { slurp($owner->{err}) =~ /-> RUNNING/ }, 10, 'a holder');
    http($etcd, 'PUT', '/v2/auth/users/root', '{"user":"root","password":"other"}', $root);
    ok wait_until(sub { slurp($owner->{err}) =~ /Insufficient credentials/ }, 10), 'v2: the old password is not taken any more';
    spew($changing, "other\n");
    my $before = renewed($owner);
    ok wait_until(sub { renewed($owner) > $before }, 10), 'the new one is';
    # And once more, between the last renewal and the release.
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'and the lock was kept';
    $owner = start_locker(['-v', '--api', 'v2', '--user', 'root', '--password-file', $changing, '-k', $key, '-t', 60, '--', 'sh', '-c', 'exec sleep 100']);
    wait_until(sub { slurp($owner->{err}) =~ /-> RUNNING/ }, 10, 'a holder');
    http($etcd, 'PUT', '/v2/auth/users/root', '{"user":"root","password":"third"}', encode_base64('root:other', ''));
    spew($changing, "third\n");
    kill 'TERM', $owner->{pid};
    is finish($owner), 143, 'changed before the release: it ends';
    unlike $owner->{stderr}, qr/not released/, 'and the lock is free';
}

done_testing;
