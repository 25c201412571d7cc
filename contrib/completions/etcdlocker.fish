# fish completion for etcdlocker(1)
# Behind -- or the first word that is no option it is the command's own business.
complete -c etcdlocker -x -a '(__fish_complete_subcommand --fcs-skip=1 -e --etcd --discovery-srv -i --id -k --key -t --ttl -r --refresh -w --wait -E --conflict-exit-code --connect-timeout -g --grace -s --signal --rewrite-signal --ready --notify-fd --lock-delay --renew --api --cacert --cert --cert-key --tls-server-name --user --password-file --ping-start --copy-to)'
complete -c etcdlocker -s e -l etcd -x -d 'endpoints of etcd'
complete -c etcdlocker -l discovery-srv -x -d 'endpoints from the DNS SRV records of a domain'
complete -c etcdlocker -s i -l id -x -d 'who we are, for people to read'
complete -c etcdlocker -s k -l key -x -d "the lock's key"
complete -c etcdlocker -s t -l ttl -x -d 'lease length'
complete -c etcdlocker -s r -l refresh -x -d 'renewal period'
complete -c etcdlocker -s w -l wait -x -d 'give up waiting after this long'
complete -c etcdlocker -l try -d 'do not wait for the lock'
complete -c etcdlocker -s E -l conflict-exit-code -x -d 'exit code when -w or --try gives up'
complete -c etcdlocker -l connect-timeout -x -d 'how long etcd may be out of reach at the start'
complete -c etcdlocker -s g -l grace -x -d 'between the stop signal and SIGKILL'
complete -c etcdlocker -s s -l signal -x -a 'TERM INT QUIT HUP USR1 USR2 KILL' -d 'the stop signal when the lock is lost'
complete -c etcdlocker -l rewrite-signal -x -d 'pass signal A on as B: A=B'
complete -c etcdlocker -l group -d 'signals for the command go to its whole process group'
complete -c etcdlocker -l restart -d 'start the command again while the lock is held: =on-failure, =always'
complete -c etcdlocker -l relock -d "after a loss or the command's end wait for the lock again"
complete -c etcdlocker -l ready -x -a 'started child' -d 'when a service manager is told that we are ready'
complete -c etcdlocker -l notify-fd -x -d 'descriptor that gets a newline when we are ready'
complete -c etcdlocker -l lock-delay -x -d 'wait after a holder vanished without releasing'
complete -c etcdlocker -l renew -x -a 'raft keepalive' -d 'how the lease is renewed'
complete -c etcdlocker -l api -x -a 'v3 v2' -d "etcd's protocol"
complete -c etcdlocker -l cacert -r -d "who may have signed etcd's certificates"
complete -c etcdlocker -l cert -r -d 'our certificate for etcd'
complete -c etcdlocker -l cert-key -r -d 'its key'
complete -c etcdlocker -l tls-server-name -x -d "the name in etcd's certificates"
complete -c etcdlocker -l insecure-skip-verify -d "do not check etcd's certificates"
complete -c etcdlocker -l user -x -d 'who we are to etcd'
complete -c etcdlocker -l password-file -r -d 'its first line is the password'
complete -c etcdlocker -s n -l node -d 'the command is a Node.js module'
complete -c etcdlocker -l ping -d 'ping the command: =fd, =sd_notify'
complete -c etcdlocker -l ping-start -x -d 'how long its first answer may take'
complete -c etcdlocker -l status -d 'say who holds the lock and who waits'
complete -c etcdlocker -l mine -d '--status exits with 0 only where the holder has our id'
complete -c etcdlocker -l json -d '--status for programs'
complete -c etcdlocker -l watch -d '--status again and again'
complete -c etcdlocker -l copy-to -r -d 'copy the static program for another image'
complete -c etcdlocker -s v -l verbose -d 'say on stderr what happens, and when'
complete -c etcdlocker -s h -l help -d 'print help and exit'
complete -c etcdlocker -s V -l version -d 'print the version and exit'
