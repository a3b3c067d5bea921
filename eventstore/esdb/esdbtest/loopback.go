package esdbtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// Systems give outgoing connections ports from 32768 (Linux) or 49152 (RFC 6335) on. Whoever leaves a port and wants
// it back, or hands it to a program that has yet to start, needs one that no connection is given meanwhile.
const firstPort, lastPort = 10_000, 32_767

// ports counts those that this process has tried. Processes begin at different ones.
var ports atomic.Int64

// Listen listens on loopback, at a port that no outgoing connection is given and that this process has not used yet.
func Listen() (net.Listener, error) {
	const span = lastPort - firstPort + 1
	for range span {
		port := firstPort + (int64(os.Getpid())*7919+ports.Add(1))%span
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		return listener, err
	}
	return nil, errors.New("no port of loopback is free")
}
