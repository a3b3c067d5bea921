package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// certHeader is where a proxy would put the device's certificate.
const certHeader = "X-Ssl-Client-Cert"

// A server is the program under load.
type server struct {
	dir, data string
	url       string
	token     string
	ca        *mdmtest.CA
	process   *exec.Cmd
	said      bytes.Buffer
	exited    chan error
	final     map[string]int64 // sizes of its files when it had stopped
}

// withServer runs f against a fresh server and stops it.
func (s settings) withServer(ctx context.Context, f func(*server) error) (err error) {
	srv := &server{exited: make(chan error, 1)}
	if srv.dir, err = os.MkdirTemp("", "rollcall-bench-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	srv.data = filepath.Join(srv.dir, "data")
	if s.keep {
		fmt.Println("directory:", srv.dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(srv.dir)) }()
	}
	if err := srv.start(ctx, s.binary); err != nil {
		return err
	}
	err = errors.Join(f(srv), srv.stop())
	srv.final = srv.disk()
	fmt.Printf("on disk after the server has stopped: %s\n", sizes(srv.final))
	return err
}

// sizes prints the larger files, in MiB.
func sizes(files map[string]int64) string {
	var parts []string
	for name, size := range files {
		if size >= 1<<16 {
			parts = append(parts, fmt.Sprintf("%s %.1f MiB", name, float64(size)/(1<<20)))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// start starts the program and waits until it is ready.
func (srv *server) start(ctx context.Context, binary string) (err error) {
	if srv.ca, err = mdmtest.NewCA("Bench devices"); err != nil {
		return err
	}
	root := filepath.Join(srv.dir, "ca.pem")
	if err := os.WriteFile(root, srv.ca.PEM(), 0o600); err != nil {
		return fmt.Errorf("write the device CA: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	srv.url = "http://" + address
	srv.process = exec.Command(binary, "serve", "--data", srv.data, "--listen", address, "--url", srv.url, "--plain-http", //nolint:gosec // ours
		"--identity", "header:"+certHeader+",signature", "--trusted-proxy", "127.0.0.0/8", "--device-ca", root)
	srv.process.Stdout, srv.process.Stderr = &srv.said, &srv.said
	begin := time.Now()
	if err := srv.process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", binary, err)
	}
	go func() { srv.exited <- srv.process.Wait() }()
	if err := srv.await(ctx); err != nil {
		_ = srv.process.Process.Kill()
		<-srv.exited
		return fmt.Errorf("%w; the server said:\n%s", err, srv.said.String())
	}
	token, err := os.ReadFile(filepath.Join(srv.data, "admin-token"))
	if err != nil {
		return errors.Join(fmt.Errorf("read the administrator's token: %w", err), srv.stop())
	}
	srv.token = strings.TrimSpace(string(token))
	fmt.Printf("ready after %s\n", time.Since(begin).Round(time.Millisecond))
	return nil
}

// await asks until /readyz is content.
func (srv *server) await(ctx context.Context) error {
	deadline := time.After(30 * time.Second)
	for {
		if resp, err := http.Get(srv.url + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-srv.exited:
			srv.exited <- err
			return fmt.Errorf("the server ended: %w", err)
		case <-deadline:
			return errors.New("the server was not ready after 30 s")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop asks the program to end and waits for it.
func (srv *server) stop() error {
	if err := srv.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the server: %w", err)
	}
	if err := <-srv.exited; err != nil {
		return fmt.Errorf("the server ended badly: %w; it said:\n%s", err, tail(srv.said.String()))
	}
	return nil
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// phase runs one and prints what came of it.
func (srv *server) phase(run func() mdmtest.Phase) mdmtest.Phase {
	before, own := srv.cpu(), ownCPU()
	p := run()
	used, spent := srv.cpu()-before, ownCPU()-own
	each := time.Duration(max(p.Requests, 1))
	fmt.Printf("%-8s %9d %11.0f %9s %9s %13s %9s", p.Name, p.Requests, p.Rate, millis(p.P50), millis(p.P99), millis(used/each), millis(spent/each))
	if p.Commands > 0 {
		fmt.Printf(" %10d %12.0f %13s", p.Commands, float64(p.Commands)/p.Took.Seconds(), millis(used/time.Duration(p.Commands)))
	} else {
		fmt.Printf(" %10s %12s %13s", "", "", "")
	}
	fmt.Printf(" %5.0f MiB\n", srv.peak())
	return p
}

// settle waits until the views have folded everything, and prints how long that took and what it cost.
func (srv *server) settle(ctx context.Context) error {
	begin, before := time.Now(), srv.cpu()
	first := -1
	for {
		lag, err := srv.lag(ctx)
		if err != nil {
			return err
		}
		if first < 0 {
			first = lag
		}
		if lag == 0 {
			fmt.Printf("views: %d events behind at the end of the load, caught up %s later with %s of CPU; peak RSS %.0f MiB\n",
				first, time.Since(begin).Round(time.Millisecond), (srv.cpu() - before).Round(10*time.Millisecond), srv.peak())
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lag asks how many events the slowest view is behind.
func (srv *server) lag(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.url+"/graphql", strings.NewReader(`{"query":"{ views { name lag } }"}`))
	if err != nil {
		return 0, fmt.Errorf("ask the views: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+srv.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask the views: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Data   struct{ Views []struct{ Lag int } }
		Errors json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Data.Views) == 0 {
		return 0, fmt.Errorf("ask the views: status %d, %s: %w", resp.StatusCode, answer.Errors, errors.Join(err, errors.New("no views in the answer")))
	}
	lag := 0
	for _, v := range answer.Data.Views {
		lag = max(lag, v.Lag)
	}
	return lag, nil
}

// cpu returns what the server has spent so far, in its own code and the kernel's.
func (srv *server) cpu() time.Duration {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(srv.process.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // the kernel counts hundredths of a second
}

// ownCPU returns what the load itself has spent so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail for ourselves
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak returns the most memory that the server ever held, in MiB.
func (srv *server) peak() float64 {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(srv.process.Process.Pid) + "/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.Atoi(fields[0])
	return float64(kilobytes) / 1024
}

// disk returns the sizes of all files of the server, in bytes.
func (srv *server) disk() map[string]int64 {
	sizes := map[string]int64{}
	_ = filepath.WalkDir(srv.data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // a file that has just gone needs no room
		}
		if info, err := e.Info(); err == nil {
			name, _ := filepath.Rel(srv.data, path)
			sizes[strings.TrimSuffix(strings.TrimSuffix(name, "-wal"), "-shm")] += info.Size()
		}
		return nil
	})
	return sizes
}

// account prints what the commands cost on disk, write-ahead logs included.
func (srv *server) account(before map[string]int64, answer mdmtest.Phase) {
	after := srv.disk()
	total := int64(0)
	var parts []string
	for name, size := range after {
		if grown := size - before[name]; grown != 0 {
			total += grown
			parts = append(parts, fmt.Sprintf("%s %d", name, grown/int64(max(answer.Commands, 1))))
		}
	}
	slices.Sort(parts)
	fmt.Printf("disk: %d bytes a command, write-ahead logs included (%s); devices sent %d\n",
		total/int64(max(answer.Commands, 1)), strings.Join(parts, ", "), answer.Sent/int64(max(answer.Commands, 1)))
}

// figures returns the rows of the four phases. The wanted ones are those of inventories, the dearest.
func (srv *server) figures(title string, enrol, idle, order, answer mdmtest.Phase) []row {
	short, _, _ := strings.Cut(title, ":")
	round := float64(answer.Commands) / answer.Took.Seconds()
	return []row{
		{Of: "server", What: short + ": enrolment requests", Figure: enrol.Rate, Unit: "/s", Want: "4,000", Note: "p99 " + millis(enrol.P99)},
		{Of: "server", What: short + ": idle polls", Figure: idle.Rate, Unit: "/s", Want: "9,000", Note: "p99 " + millis(idle.P99)},
		{Of: "server", What: short + ": commands queued", Figure: order.Rate, Unit: "/s", Note: "p99 " + millis(order.P99)},
		{Of: "server", What: short + ": command round trips", Figure: round, Unit: "/s", Want: "4,000", Note: "p99 " + millis(answer.P99)},
		{Of: "server", What: short + ": peak memory", Figure: srv.peak(), Unit: "MiB", Want: "150 at most"},
	}
}
