# --discovery-srv: endpoints from a domain's SRV records, asked of a real name server.
use strict;
use warnings;
use Etcdlocker::Proxy;
use Etcdlocker::Test;
use Test::More;

etcd_need();
plan skip_all => 'no dnsmasq: install dnsmasq-base' if system('dnsmasq --version > /dev/null 2>&1') != 0;
plan skip_all => 'no /etc/resolv.conf that another one can stand in for' if !can_stand_in('/etc/resolv.conf');

# An address of loopback that nobody else's test has.
my $server = join '.', 127, map { 1 + int rand 250 } 1 .. 3;
my $domain = 'locks.test';
my $dns;

# A name server with RECORDS, [service, host, port] each, in place of the last one.
sub dns_start {
    my (@records) = @_;
    if ($dns) {
        kill 'TERM', $dns->{pid};
        finish($dns);
    }
    my @hosts = map { "--srv-host=_$_->[0]._tcp.$domain,$_->[1],$_->[2]" } @records;
    $dns = start(['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--port=53', "--listen-address=$server", '--bind-interfaces', '--user=root', '--pid-file=',
        "--local=/test/", "--host-record=m1.$domain,127.0.0.1", "--host-record=m2.$domain,127.0.0.1", @hosts]);
    wait_until(sub { my $socket = IO::Socket::INET->new(PeerAddr => $server, PeerPort => 53, Timeout => 1) }, 10, 'the name server');
    return;
}

my $resolv = spew("$dir/resolv.conf", "nameserver $server\noptions timeout:1 attempts:1\n");
my @with_dns = ('unshare', '-m', 'sh', '-c', "mount --bind $resolv /etc/resolv.conf && exec \"\$@\"", 'sh', $locker);

my $etcd = etcd_start();
my $real = etcd_endpoint();
my ($port) = $real =~ /:(\d+)$/;
my $key = '/discovery';

{
    dns_start(['etcd-client', "m1.$domain", $port]);
    my $run = run([@with_dns, '-v', '--discovery-srv', $domain, '-k', $key, '--', 'sh', '-c', 'exit 7']);
    is $run->{code}, 7, 'the endpoint is found' or diag $run->{stderr};
    like $run->{stderr}, qr{endpoint by its SRV record: http://m1\.$domain:$port$}m, 'as -v says';
    $run = run([@with_dns, '-k', $key, '--status'], env => { ETCDCTL_DISCOVERY_SRV => $domain });
    is $run->{code}, 1, "etcdctl's variable does, too" or diag $run->{stderr};
    is run([@with_dns, '-k', $key, '--', 'true'], env => { ETCDCTL_DISCOVERY_SRV => 'other.test', ETCD_LOCK_HOST => $real })->{code}, 0, 'our own for endpoints beats it';
    is run([@with_dns, '-e', $real, '-k', $key, '--', 'true'], env => { ETCD_LOCK_DISCOVERY_SRV => 'other.test' })->{code}, 0, 'and so does -e';
    $run = run([@with_dns, '-e', $real, '--discovery-srv', $domain, '-k', $key, '--', 'true']);
    is $run->{code}, 64, 'both are one too many';
    like $run->{stderr}, qr/set one of endpoints and discovery-srv/, 'which is said';
}

{
    my $run = run([@with_dns, '-v', '--discovery-srv', 'nowhere.test', '-k', $key, '--connect-timeout', '1s', '--', 'true']);
    is $run->{code}, 1, 'a domain without records';
    like $run->{stderr}, qr/_etcd-client\._tcp\.nowhere\.test/, 'is named, with what was looked for';
    $run = run([@with_dns, '-v', '--discovery-srv', $domain, '--tls-server-name', 'x.test', '-k', $key, '--connect-timeout', '1s', '--', 'true']);
    is $run->{code}, 1, 'who wants https takes no record of http';
    like $run->{stderr}, qr/_etcd-client-ssl\._tcp\.$domain: the name has no such record|there is no such name/, 'and says which one there is not';
    is run([@with_dns, '--discovery-srv', 'a b', '-k', $key, '--', 'true'])->{code}, 64, 'what is no domain is refused';
}

{
    # The cluster moves: other ports under other names.
    my $before = proxy_start($real);
    dns_start(['etcd-client', "m1.$domain", $before->{endpoint} =~ /:(\d+)$/]);
    my $file = "$dir/on";
    my $owner = start([@with_dns, '-v', '--discovery-srv', $domain, '-k', $key, '-t', 40, '-r', 1, '--', 'sh', '-c', "echo on > $file; while [ -e $file ]; do sleep 0.05; done; exit 42"]);
    ok wait_until(sub { slurp($owner->{err}) =~ /lock: renewed/ }, 20), 'a holder renews';
    proxy_stop($before);
    my $after = proxy_start($real);
    dns_start(['etcd-client', "m2.$domain", $after->{endpoint} =~ /:(\d+)$/]);
    my $count = () = slurp($owner->{err}) =~ /lock: renewed/g;
    ok wait_until(sub { (() = slurp($owner->{err}) =~ /lock: renewed/g) > $count }, 20), 'the records lead elsewhere: it goes there' or diag slurp($owner->{err});
    # A name server that has gone is no reason to lose an etcd that is there.
    kill 'STOP', $dns->{pid};
    $count = () = slurp($owner->{err}) =~ /lock: renewed/g;
    ok wait_until(sub { (() = slurp($owner->{err}) =~ /lock: renewed/g) > $count + 1 }, 20), 'nor does a silent name server stop its renewals';
    unlink $file;
    is finish($owner, 30), 42, 'it ends as it likes' or diag $owner->{stderr};
    kill 'CONT', $dns->{pid};
    proxy_stop($after);
}

done_testing;
