// The same as contenders.c, with etcd's own client: contenders ENDPOINT KEY N ROUNDS.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "contenders:", err)
		os.Exit(1)
	}
}

func main() {
	count, _ := strconv.Atoi(os.Args[3])
	rounds, _ := strconv.Atoi(os.Args[4])
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{os.Args[1]}, DialTimeout: 10 * time.Second})
	must(err)
	out := bufio.NewWriter(os.Stdout)
	var given time.Time
	var turn sync.Mutex // guards given, rounds and out
	goOn := make(chan struct{})
	for i := 0; i < count; i++ {
		go func() {
			session, err := concurrency.NewSession(client, concurrency.WithTTL(600))
			must(err)
			mutex := concurrency.NewMutex(session, os.Args[2])
			must(mutex.Lock(context.Background()))
			turn.Lock()
			if given.IsZero() {
				turn.Unlock()
				<-goOn
				turn.Lock()
			} else {
				fmt.Fprintln(out, time.Since(given).Microseconds())
				rounds--
				if rounds == 0 {
					out.Flush()
					os.Exit(0)
				}
			}
			given = time.Now()
			turn.Unlock()
			must(mutex.Unlock(context.Background()))
		}()
	}
	bufio.NewReader(os.Stdin).ReadString('\n')
	close(goOn)
	select {}
}
