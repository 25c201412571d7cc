# On a terminal: the foreground is handed over and taken back, Ctrl-C comes once, nobody else's terminal is taken.
use strict;
use warnings;
use Etcdlocker::Terminal;
use Etcdlocker::Test;
use Test::More;

etcd_need();
etcd_start();
my $key = '/terminal';
my $lock = "$locker -e " . etcd_endpoint() . " -k $key";

my $shell = shell();

type($shell, "$lock -- sh -c 'trap \"echo caught; exit 9\" INT; echo rea''dy; while :; do sleep 0.1; done'\n");
ok shows($shell, qr/ready\r/, 'the command'), 'a command runs in the foreground';
type($shell, "\cC");
ok shows($shell, qr/caught\r/), 'Ctrl-C reaches it';
type($shell, "echo co\"\"de \$?\n");
ok shows($shell, qr/code 9\r/), 'which decides what comes of it, and the shell has its terminal back';
is scalar(() = slurp($shell->{process}{out}) =~ /caught\r/g), 1, 'once';

type($shell, "$lock -- cat\n");
ok wait_until(sub { keys_left($key) == 1 }, 10), 'cat holds the lock';
type($shell, "typed\n");
ok shows($shell, qr/typed\r\n(?:.*\n)*?typed\r/), 'it reads from the terminal';
type($shell, "\cZ");
ok shows($shell, qr/the command goes on/), 'Ctrl-Z does not stop it';
type($shell, "\cD");
ok shows($shell, qr/PROMPT/), 'Ctrl-D ends it';

type($shell, "$lock -- cat &\n");
ok shows($shell, qr/PROMPT/), 'in the background';
ok wait_until(sub { keys_left($key) == 1 }, 10), 'it holds the lock';
type($shell, "echo in b''etween\n");
ok shows($shell, qr/in between\r/), 'the shell keeps its terminal';
type($shell, "fg\n");
ok shows($shell, qr/fg\r/), 'brought to the foreground';
# One line at a time: what is left over would be the shell's.
ok wait_until(sub { type($shell, "hello\n"); wait_until(sub { shows_now($shell, qr/hello\r\n(?:hello\r\n)*hello\r/) }, 1) }, 10), 'it reads from the terminal';
type($shell, "\cC");
shows($shell, qr/PROMPT/, 'the shell');
type($shell, "echo co\"\"de \$?\n");
ok shows($shell, qr/code 130\r/), 'and Ctrl-C ends it';

sub shows_now { return substr(slurp($_[0]{process}{out}), $_[0]{seen}) =~ $_[1] }

# A script that leaves us in the background, and ends before us.
type($shell, "sh -c '$lock -- sleep 2 & sleep 0.2'\n");
ok wait_until(sub { keys_left($key) == 1 }, 10), 'started in the background of a script that has ended';
ok wait_until(sub { keys_left($key) == 0 }, 10), 'the command ends';
type($shell, "echo still th''ere\n");
ok shows($shell, qr/still there\r/), 'and the shell keeps its terminal';

# In a pipeline whose other end uses the terminal.
type($shell, "$lock -- seq 3 | (read x; read y < /dev/tty; echo g''ot \$x \$y)\n");
ok wait_until(sub { type($shell, "true\n"); shows_now($shell, qr/got 1 true/) }, 10), 'the reader of our output may use the terminal';

# One that is started again: not after Ctrl-C, nor when the terminal goes.
# (sh can miss a signal that comes just before it starts another program.)
type($shell, "$lock --restart --relock -- $^X -e '\$|=1; print qq(rea), qq(dy\\n); sleep 300'\n");
ok shows($shell, qr/ready\r/, 'the command'), '--restart --relock: a command runs';
type($shell, "\cC");
shows($shell, qr/PROMPT/, 'the shell');
type($shell, "echo co\"\"de \$?\n");
ok shows($shell, qr/code 130\r/), 'Ctrl-C ends us, too';
is scalar(keys_left($key)), 0, 'and the lock is free';
{
    my $other = shell();
    type($other, "$lock --restart --relock -- sleep 300\n");
    ok wait_until(sub { keys_left($key) == 1 }, 10), 'once more';
    leave($other);
    ok wait_until(sub { keys_left($key) == 0 }, 10), 'when the terminal goes it ends';
}

# Its size: the kernel tells the foreground.
type($shell, "$lock -- sh -c 'trap \"stty size\" WINCH; tty; echo rea''dy; while :; do sleep 0.1; done'\n");
ok shows($shell, qr/ready\r/, 'the command'), 'a command runs';
my ($place) = slurp($shell->{process}{out}) =~ m{.*(/dev/pts/\d+)\r}s;
run(['stty', '-F', $place, 'rows', 33, 'cols', 101]);
ok shows($shell, qr/33 101\r/), 'a new window size reaches it';
type($shell, "\cC");
shows($shell, qr/PROMPT/);

# Hang-up.
type($shell, "$lock -- sleep 300\n");
ok wait_until(sub { keys_left($key) == 1 }, 10), 'a command runs';
leave($shell);
ok wait_until(sub { keys_left($key) == 0 }, 10), 'when the terminal goes it ends, and the lock is free';

done_testing;
