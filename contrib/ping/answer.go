// etcdlocker -k KEY --ping -- ./answer
//
// Answers pings as long as the work reports progress.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"time"
)

func descriptor(name string) *os.File {
	number, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(number), name)
}

// answer sends each ping back when there has been progress since it came.
func answer(progress <-chan struct{}) {
	ping, pong := descriptor("ETCD_LOCK_PING_FD"), descriptor("ETCD_LOCK_PONG_FD")
	if ping == nil || pong == nil {
		return
	}
	for lines := bufio.NewScanner(ping); lines.Scan(); {
		<-progress
		fmt.Fprintln(pong, lines.Text())
	}
}

func main() {
	progress := make(chan struct{})
	go answer(progress)
	for round := 0; round < 30; round++ {
		time.Sleep(100 * time.Millisecond) // a round of the work
		select {
		case progress <- struct{}{}:
		default:
		}
	}
}
