# The shells complete what --help knows: names of options, their values, and the command behind them.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

my $place = "$ENV{SOURCE_DIR}/contrib/completions";
my $help = run([$locker, '--help'])->{stdout};
my @names = sort $help =~ /^  (?:-\w, |    )(--[\w-]+)/mg;
my @valued;
for my $line (split /\n/, $help) {
    my ($letter, $name, $rest) = $line =~ /^  (?:(-\w), |    )(--[\w-]+)(.*)/ or next;
    # One blank before a value; two or more before the description.
    push @valued, grep { defined } $letter, $name if $rest =~ /^ \S/;
}

is_deeply [sort map { split /\|/ } slurp("$place/etcdlocker") =~ /^\t(-e\|\S+)\) return 0/m], [sort @valued], 'bash knows which options take a value';
is_deeply [sort grep { /^-/ && !/fcs-skip/ } split / /, (slurp("$place/etcdlocker.fish") =~ /--fcs-skip=1 ([^)]*)/)[0]], [sort @valued], 'fish, too';

SKIP: {
    skip 'no bash: install bash', 10 if (eval { run(['bash', '--version'])->{code} } // 1) != 0;
    # WORDS as bash splits them: at "=" and ":", too. The last one is being typed.
    my $bash = sub {
        my (@words) = @_;
        my $run = run(['bash', '--norc', '--noprofile', '-c', '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _etcdlocker; printf "%s\n" "${COMPREPLY[@]}"', "$place/etcdlocker", 'etcdlocker', @words]);
        return join ' ', sort split /\n/, $run->{stdout} . $run->{stderr};
    };
    is $bash->('--'), join(' ', @names), 'bash: all options';
    is $bash->('--rel'), '--relock', 'a part of one';
    is $bash->('-e', 'host', ':', '2379,b', ':', '1', '-k', '/l', '--rel'), '--relock', 'behind endpoints';
    is $bash->('--ttl', '=', '5', '--rel'), '--relock', 'behind a value with "="';
    is $bash->('--restart', '=', 'always', '--rel'), '--relock', 'behind one that may have one';
    is $bash->('--restart', '='), 'always on-failure', 'the values of one';
    is $bash->('--restart', '=', 'al'), 'always', 'a part of one';
    is $bash->('--renew', ''), 'keepalive raft', 'the values of one that needs one';
    like $bash->('-k', '/l', '--', 'tru'), qr/\btrue\b/, 'a command behind --';
    like $bash->('-k', '/l', 'tru'), qr/\btrue\b/, 'and behind the options';
}

SKIP: {
    skip 'no fish: install fish', 4 if (eval { run(['fish', '--version'])->{code} } // 1) != 0;
    my $fish = sub {
        my ($line) = @_;
        my $run = run(['fish', '--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', "$place/etcdlocker.fish", $line], env => { HOME => $dir });
        return join ' ', sort map { /^(\S+)/ ? $1 : () } split /\n/, $run->{stdout};
    };
    is $fish->('etcdlocker --rel'), '--relock', 'fish: a part of an option';
    is $fish->('etcdlocker --api '), 'v2 v3', 'the values of one';
    like $fish->('etcdlocker -k /l -- tru'), qr/\btrue\b/, 'a command behind --';
    is $fish->('etcdlocker -k /l --re'), join(' ', grep { /^--re/ } @names), 'an option behind a value';
}

SKIP: {
    skip 'no zsh: install zsh', 1 if (eval { run(['zsh', '--version'])->{code} } // 1) != 0;
    my $run = run(['zsh', '-f', '-n', "$place/_etcdlocker"]);
    is "$run->{code} $run->{stderr}", '0 ', 'zsh reads it';
}

done_testing;
