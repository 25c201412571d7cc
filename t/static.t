# The static program in places that have nothing: $STATIC names it. t/static makes one and runs this; it is no part of
# "make check".
use strict;
use warnings;
use Etcdlocker::Certificates;
use Etcdlocker::Test;
use File::Copy qw(copy);
use File::Path qw(make_path);
use Test::More;

my $static = $ENV{STATIC} // '';
plan skip_all => 'no static program: t/static makes one' if !-x $static;
plan skip_all => 'not root: chroot(2) is needed' if $> != 0;
etcd_need();
openssl_need();

my $ca = authority_new('ca');
my ($server, $client) = map { certificate_new($ca, $_) } qw(server client);
my $etcd = etcd_start(secure => 1, arguments => ['--cert-file', "$server.crt", '--key-file', "$server.key", '--trusted-ca-file', "$ca.crt", '--client-cert-auth']);
@etcdctl_flags = ('--cacert', "$ca.crt", '--cert', "$client.crt", '--key', "$client.key");
my ($port) = $etcd->{endpoint} =~ /:(\d+)$/;

# Nothing but the program and what it is told to read; not even /dev and /proc.
my $root = "$dir/root";
make_path("$root/etc/ssl/certs");
copy($static, "$root/etcdlocker") or die;
chmod 0755, "$root/etcdlocker";
copy("$ca.crt", "$root/ca.crt") or die;
copy("$client.$_", "$root/client.$_") or die for qw(crt key);
spew("$root/etc/hosts", "127.0.0.1 etcd.example\n");

sub inside { my ($words, %how) = @_; return run(['chroot', $root, '/etcdlocker', @$words], %how) }
my @tls = ('--cert', '/client.crt', '--cert-key', '/client.key');
my @job = ('-k', '/static', '--connect-timeout', '5s', '--', '/etcdlocker', '--version');

like inside(['--version'])->{stdout}, qr{\Aetcdlocker \S+\nlibcurl/\S+ OpenSSL/\S+ libevent/\S+ jansson/\S+\n\z}, 'it says what is inside';
for my $endpoint ("https://127.0.0.1:$port", "https://etcd.example:$port") {
    my @name = $endpoint =~ /example/ ? ('--tls-server-name', 'localhost') : ();
    my $run = inside(['-e', $endpoint, '--cacert', '/ca.crt', @tls, @name, @job]);
    is $run->{code}, 0, "a job under a lock, at $endpoint" or diag $run->{stderr};
    like $run->{stdout}, qr/^etcdlocker /, 'has run';
}
is inside(['-e', $etcd->{endpoint}, @tls, @job], env => { SSL_CERT_FILE => '/ca.crt' })->{code}, 0, 'SSL_CERT_FILE';
make_path("$root/authorities");
copy("$ca.crt", "$root/authorities/ca.pem") or die;
run(['openssl', 'rehash', "$root/authorities"]);
is inside(['-e', $etcd->{endpoint}, @tls, @job], env => { SSL_CERT_DIR => '/authorities', SSL_CERT_FILE => '' })->{code}, 0, 'SSL_CERT_DIR, where there is no bundle';
like inside(['-e', $etcd->{endpoint}, @tls, @job])->{stderr}, qr/certificate|CA|issuer/, 'an image without authorities: said';
copy("$ca.crt", "$root/etc/ssl/cert.pem") or die;
my $run = inside(['-e', $etcd->{endpoint}, @tls, @job]);
is $run->{code}, 0, 'authorities where other systems have them' or diag $run->{stderr};
is_deeply [keys_left('/static')], [], 'the lock is free';

# --copy-to: what was there is replaced as a whole, or not at all.
my $to = "$dir/copy";
make_path($to);
is run([$static, '--copy-to', $to])->{code}, 0, '--copy-to a directory';
ok slurp("$to/etcdlocker") eq slurp($static), 'copies all of it';
is run(["$to/etcdlocker", '--version'])->{code}, 0, 'and it runs';
spew("$to/there", "old\n");
is run([$static, '--copy-to', "$to/there"])->{code}, 0, '--copy-to a file that is there';
is run(["$to/there", '--version'])->{code}, 0, 'replaces it';
spew("$to/there", "old\n");
my $full = run(['sh', '-c', "ulimit -f 100; exec $static --copy-to $to/there"]);
is $full->{code}, 1, 'where it does not fit';
like $full->{stderr}, qr{\Aetcdlocker: cannot copy to \S+/there: File too large\n\z}, 'is said';
is_deeply [glob "$to/there.*"], [], 'and leaves nothing';
is slurp("$to/there"), "old\n", 'what was there stays';
$full = run([$static, '--copy-to', "$to/nowhere/x"]);
is $full->{code}, 1, 'a directory that is not there';
like $full->{stderr}, qr{\Aetcdlocker: cannot copy to \S+/nowhere/x: No such file or directory\n\z}, 'is said';
is inside(['--copy-to', '/etc/copy'])->{code}, 0, 'without /proc';
ok slurp("$root/etc/copy") eq slurp($static), 'too';

done_testing();
