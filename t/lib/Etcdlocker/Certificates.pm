package Etcdlocker::Certificates;

# A certificate authority of a test's own, and what it signs: with openssl(1), into a directory.

use strict;
use warnings;
use Exporter qw(import);
use Etcdlocker::Test;
use Test::More;

our @EXPORT = qw(openssl_need authority_new certificate_new);

# Skips the whole script where there is no openssl.
sub openssl_need {
    my $version = eval { run(['openssl', 'version'], seconds => 10) };
    return if $version && ($version->{code} // 1) == 0;
    plan skip_all => 'no openssl(1): install openssl';
}

sub openssl {
    my (@arguments) = @_;
    my $process = run(['openssl', @arguments], seconds => 30);
    die "openssl @arguments: $process->{stderr}" if ($process->{code} // 1) != 0;
    return;
}

# The authority NAME: NAME.crt and NAME.key below $dir. Returns NAME's path without its ending.
sub authority_new {
    my ($name) = @_;
    my $path = "$dir/$name";
    openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj), "/CN=$name", '-keyout', "$path.key",
        '-out', "$path.crt");
    return $path;
}

# A certificate NAME, signed by AUTHORITY. Options: names, what it is good for (as openssl's subjectAltName); subject, "/"
# for a common name; days, which may lie in the past. Written in one step each, as tools that rotate certificates do.
sub certificate_new {
    my ($authority, $name, %options) = @_;
    my $path = "$dir/$name";
    my @validity = ($options{days} // 1) > 0 ? ('-days', $options{days} // 1) : ();
    my $subject = $options{subject} // '/O=test';
    my $names = $options{names} // 'IP:127.0.0.1,IP:::1,DNS:localhost';
    openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj), $subject, '-keyout', "$path.new.key", '-out', "$path.csr");
    spew("$path.ext", "subjectAltName=$names\nextendedKeyUsage=serverAuth,clientAuth\n");
    if (@validity) {
        openssl(qw(x509 -req -in), "$path.csr", '-CA', "$authority.crt", '-CAkey', "$authority.key", '-CAcreateserial', '-extfile', "$path.ext",
            @validity, '-out', "$path.new.crt");
    } else {
        spew("$path.index", '');
        spew("$path.serial", "01\n");
        spew("$path.cnf", "[ca]\ndefault_ca=a\n[a]\ndatabase=$path.index\nserial=$path.serial\nnew_certs_dir=$dir\ndefault_md=sha256\npolicy=p\n"
            . "unique_subject=no\n[p]\norganizationName=optional\ncommonName=optional\n");
        openssl(qw(ca -batch -notext -config), "$path.cnf", '-cert', "$authority.crt", '-keyfile', "$authority.key", '-in', "$path.csr",
            '-extfile', "$path.ext", '-startdate', '20200101000000Z', '-enddate', '20200201000000Z', '-out', "$path.new.crt");
    }
    rename "$path.new.key", "$path.key" or die "rename: $!";
    rename "$path.new.crt", "$path.crt" or die "rename: $!";
    return $path;
}

1;
