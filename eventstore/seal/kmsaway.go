package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
)

// maxKMSAnswer is the most that a key management service may answer, in bytes.
const maxKMSAnswer = 64 << 10

// program asks a program: it is started for each question, reads it from its standard input and prints the answer.
// Whatever ends it but a good end says that the service behind it is away.
func program(path string) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, question []byte) ([]byte, error) {
		cmd := exec.CommandContext(ctx, path)
		cmd.Stdin = bytes.NewReader(question)
		cmd.WaitDelay = kmsPatience // it may leave children behind that hold its output
		said, err := cmd.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%s: %s", exit.ProcessState, firstLine(exit.Stderr))
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil && len(said) > maxKMSAnswer {
			err = errors.New("it says too much")
		}
		return said, err
	}
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	return string(line[:min(len(line), 200)])
}

// service asks at an address, by POST. token, if there is one, is shown as a bearer's.
func service(address, token string) (func(context.Context, []byte) ([]byte, error), error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errors.New("it is no address: give one like https://kms.example.com/rollcall")
	}
	if u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, errors.New("it must be https:// (http:// to this machine alone), without a user: its token stands in ROLLCALL_MASTER_KEY_TOKEN")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context, question []byte) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(question))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		said, err := io.ReadAll(io.LimitReader(resp.Body, maxKMSAnswer))
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("it answered %s", resp.Status)
		}
		return said, err
	}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
