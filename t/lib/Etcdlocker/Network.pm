package Etcdlocker::Network;

# Hosts for the soak: as root each in a network namespace of its own, joined by a bridge in another one, so that nothing
# is seen of them outside; else all on loopback. Addresses are of 198.18.0.0/15, which is for such tests (RFC 2544).

use strict;
use warnings;
use Etcdlocker::Test;
use Exporter qw(import);

our @EXPORT = qw(network_start network_prefix network_cluster network_member member_pid network_break network_mend network_stop network_narrow network_widen);

my @made; # namespaces, to be deleted
my $main = $$;

# Words without blanks. What fails and matters is told by the caller.
sub ip { return system("ip @_ 2>/dev/null") == 0 }

# COUNT contenders c0, c1...; three members m0 to m2. Returns { namespaces: 0 or 1, hosts, broken }.
sub network_start {
    my ($count) = @_;
    my $id = $$;
    my $network = { id => $id, hosts => {}, broken => {} };
    $network->{namespaces} = $> == 0 && system("ip netns add el$id-hub 2>/dev/null") == 0;
    my $last = 1;
    for my $name ((map { "m$_" } 0 .. 2), map { "c$_" } 0 .. $count - 1) {
        $network->{hosts}{$name} = { address => $network->{namespaces} ? '198.18.0.' . ++$last : '127.0.0.1' };
    }
    return $network if !$network->{namespaces};
    push @made, "el$id-hub";
    ip('-n', "el$id-hub", 'link', 'add', 'br0', 'type', 'bridge') or die 'no bridge';
    ip('-n', "el$id-hub", 'addr', 'add', '198.18.0.1/24', 'dev', 'br0');
    ip('-n', "el$id-hub", 'link', 'set', $_, 'up') for 'br0', 'lo';
    for my $name (sort keys %{ $network->{hosts} }) {
        my $space = "el$id-$name";
        ip('netns', 'add', $space) or die "no namespace $space";
        push @made, $space;
        ip('-n', "el$id-hub", 'link', 'add', "v$name", 'type', 'veth', 'peer', 'name', 'eth0', 'netns', $space) or die 'no veth';
        ip('-n', "el$id-hub", 'link', 'set', "v$name", 'master', 'br0', 'up');
        ip('-n', $space, 'addr', 'add', "$network->{hosts}{$name}{address}/24", 'dev', 'eth0');
        ip('-n', $space, 'link', 'set', $_, 'up') for 'eth0', 'lo';
    }
    return $network;
}

# What to put before a command so that it runs on host NAME.
sub network_prefix {
    my ($network, $name) = @_;
    return $network->{namespaces} ? ('ip', 'netns', 'exec', "el$network->{id}-$name") : ();
}

# Starts the three members; returns { name, address, process }, each.
sub network_cluster {
    my ($network) = @_;
    my @members = map { { name => "m$_", address => $network->{hosts}{"m$_"}{address}, data => "$Etcdlocker::Test::dir/m$_" } } 0 .. 2;
    die "the soak needs namespaces, and so root, for a cluster on one port\n" if !$network->{namespaces};
    $network->{initial} = join ',', map { "$_->{name}=http://$_->{address}:2380" } @members;
    network_member($network, $_) for @members;
    my $up = wait_until(sub {
        my $health = run([network_prefix($network, 'hub'), $ENV{ETCDCTL} || 'etcdctl', '--endpoints', join(',', map { "$_->{address}:2379" } @members), 'endpoint', 'health']);
        return $health->{code} == 0;
    }, 30, 'the cluster');
    die "no cluster\n" if !$up;
    return @members;
}

# Starts MEMBER, for the first time or again.
sub network_member {
    my ($network, $member) = @_;
    my ($client, $peer) = map { "http://$member->{address}:$_" } 2379, 2380;
    $member->{process} = start([
        network_prefix($network, $member->{name}), $ENV{ETCD} || 'etcd', '--name', $member->{name}, '--data-dir', $member->{data},
        '--listen-client-urls', $client, '--advertise-client-urls', $client, '--listen-peer-urls', $peer,
        '--initial-advertise-peer-urls', $peer, '--initial-cluster', $network->{initial}, '--initial-cluster-state', $member->{state} // 'new',
    ]);
    return;
}

# "ip netns exec" becomes the command.
sub member_pid { return $_[0]{process}{pid} }

# Where WAY is both, sets the link of NAME to LINK; else has every host that sends in that direction change its neighbour
# entry of the one it sends to: "ip neigh VERB ADDRESS DETAIL".
sub network_set {
    my ($network, $name, $way, $link, $verb, @detail) = @_;
    if ($way eq 'both') {
        ip('-n', "el$network->{id}-hub", 'link', 'set', "v$name", $link);
        return;
    }
    my $address = $network->{hosts}{$name}{address};
    for my $other (grep { $_ ne $name } keys %{ $network->{hosts} }) {
        my ($where, $whom) = $way eq 'out' ? ($name, $network->{hosts}{$other}{address}) : ($other, $address);
        ip('-n', "el$network->{id}-$where", 'neigh', $verb, $whom, @detail, 'dev', 'eth0');
    }
    return;
}

# Cuts NAME off: both ways, or only what comes in or goes out. A wrong neighbour address loses packets in one direction,
# silently, as a broken switch does.
sub network_break {
    my ($network, $name, $way) = @_;
    $network->{broken}{$name} = $way;
    network_set($network, $name, $way, 'down', 'replace', 'lladdr', '02:00:00:00:00:01', 'nud', 'permanent');
    return;
}

sub network_mend {
    my ($network, $name) = @_;
    my $way = delete $network->{broken}{$name} or return;
    network_set($network, $name, $way, 'up', 'del');
    return;
}

# A link of 40 kbit/s with a short queue: packets are late, by up to 0.8 s, and what does not fit is lost.
my @narrow = qw(root tbf rate 40kbit burst 1600 limit 4000);

sub tc { return system("tc @_ 2>/dev/null") == 0 }

# The link of NAME is narrow for a while, both ways. False where the kernel cannot do that.
sub network_narrow {
    my ($network, $name) = @_;
    return tc('-n', "el$network->{id}-$name", 'qdisc', 'add', 'dev', 'eth0', @narrow)
        && tc('-n', "el$network->{id}-hub", 'qdisc', 'add', 'dev', "v$name", @narrow);
}

sub network_widen {
    my ($network, $name) = @_;
    tc('-n', "el$network->{id}-$name", 'qdisc', 'del', 'dev', 'eth0', 'root');
    tc('-n', "el$network->{id}-hub", 'qdisc', 'del', 'dev', "v$name", 'root');
    return;
}

sub network_stop {
    system('ip', 'netns', 'del', $_) for @made;
    @made = ();
    return;
}

END {
    if ($$ == $main) {
        my $status = $?;
        network_stop();
        $? = $status;
    }
}

1;
