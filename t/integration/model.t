# The model of the promise: it holds, and it is seen to fail when the margin or the reaping is taken out.
use strict;
use warnings;
use Etcdlocker::Test;
use Test::More;

plan skip_all => 'no spin: install spin' if system('command -v spin >/dev/null 2>&1') != 0;
my $cc = $ENV{CC} // 'cc';
plan skip_all => "no C compiler: install gcc" if system("command -v $cc >/dev/null 2>&1") != 0;

# Runs the checker over the model with FLAGS. Returns { errors, states }.
sub check {
    my ($name, @flags) = @_;
    mkdir "$dir/$name" or die;
    my $run = run(['sh', '-c', "cd '$dir/$name' && cp '$ENV{SOURCE_DIR}/t/model/lock.pml' . && spin -a @flags lock.pml &&
        $cc -O2 -w -DSAFETY -DCOLLAPSE -DBFS -DMEMLIM=4000 -o pan pan.c && ./pan"], seconds => 600);
    my ($errors) = $run->{stdout} =~ /errors: (\d+)/;
    my ($states) = $run->{stdout} =~ /^\s*(\d+) states, stored/m;
    diag $run->{stdout}, $run->{stderr} if !defined $errors;
    return { errors => $errors, states => $states // 0, complete => $run->{stdout} !~ /Warning: Search not completed/ };
}

my $whole = check('whole');
is $whole->{errors}, 0, 'never two, and released only when dead';
ok $whole->{complete}, "in every one of $whole->{states} states";
cmp_ok $whole->{states}, '>', 1_000_000, 'which are many';
cmp_ok check('nomargin', '-DMARGIN=0')->{errors}, '>', 0, 'without the margin it fails';
cmp_ok check('thinmargin', '-DMARGIN=2')->{errors}, '>', 0, 'with a margin that does not cover drift and killing it fails';
cmp_ok check('nokeeper', '-DNO_KEEPER')->{errors}, '>', 0, 'without the keeper it fails, when the other two are dead';
my $look = check('look', '-DLOOK');
is $look->{errors}, 0, 'nobody is robbed by a look that comes late';
ok $look->{complete}, "in every one of $look->{states} states";
cmp_ok check('latelook', '-DLOOK', '-DLATE_LOOK')->{errors}, '>', 0, 'when a look that was read before the last move of the key counts it fails';
is check('stuck', '-DSTUCK')->{errors}, 0, 'a command that cannot be killed keeps its lock';
cmp_ok check('leaves', '-DSTUCK', '-DLEAVES')->{errors}, '>', 0, 'unless its supervisor leaves: then it fails';
cmp_ok check('noreap', '-DNO_REAP')->{errors}, '>', 0, 'released when the command is only signalled it fails';

done_testing;
