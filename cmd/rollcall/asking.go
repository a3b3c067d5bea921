package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// An asking is a server that is asked by GraphQL, with a token that may do what is asked.
type asking struct {
	Server string `placeholder:"URL" help:"Where the server that runs can be reached, e.g. https://mdm.example.com; by control.sock in the data directory if not set."`
	Token  string `env:"ROLLCALL_TOKEN" placeholder:"TOKEN" help:"An administrator's API token (better in ROLLCALL_TOKEN than on the command line, which others can read); the directory's admin-token if not set."`
}

// ask asks the server, by the socket in its data directory unless another way is named, and reads its answer into data.
func (a *asking) ask(ctx context.Context, dir, query string, variables map[string]any, data any) error {
	if a.Server == "" {
		err := askServer(ctx, dir, query, variables, data)
		if _, none := errors.AsType[*net.OpError](err); none && ctx.Err() == nil {
			err = fmt.Errorf("%w: say with --server where it can be reached, or stop it first", err)
		}
		return err
	}
	token := a.Token
	if token == "" {
		text, err := os.ReadFile(filepath.Join(dir, "admin-token"))
		if err != nil {
			return fmt.Errorf("take the administrator's token: %w: give another one with --token", err)
		}
		token = strings.TrimSpace(string(text))
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(a.Server, "/")+"/graphql", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("--server: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Prefer", "wait=5") // what was acknowledged is to be seen
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return answerOf(text, resp.Status, data)
}

func answerOf(text []byte, status string, data any) error {
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct{ Hint string }
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Data == nil && len(answer.Errors) == 0 {
		return fmt.Errorf("the server answers %s: is --server a Rollcall, and the token good?", status)
	}
	if len(answer.Errors) == 0 {
		return json.Unmarshal(answer.Data, data)
	}
	told := answer.Errors[0].Message
	if hint := answer.Errors[0].Extensions.Hint; hint != "" {
		told += "; " + hint
	}
	return errors.New("the server says: " + told)
}
