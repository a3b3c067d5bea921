package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// tokenCmd makes and takes back API tokens while the server is stopped. While it runs, GraphQL does.
type tokenCmd struct {
	storage
	Data   string         `default:"./data" placeholder:"DIR" help:"The server's data directory."`
	Create tokenCreateCmd `cmd:"" help:"Make a token and print it, once."`
	List   tokenListCmd   `cmd:"" help:"List all tokens."`
	Revoke tokenRevokeCmd `cmd:"" help:"Take a token back."`
}

// shell is who uses the command line: whoever may read the data directory may do anything.
var shell = handlers.Caller{ID: "command-line", Name: "command line", Role: operator.Administrator}

func (t *tokenCmd) with(ctx context.Context, do func(*house) error) error {
	if _, err := os.Stat(t.Data); err != nil {
		return fmt.Errorf("%s is no data directory: name the server's with --data", t.Data)
	}
	if err := (&stopped{Data: t.Data}).alone(); err != nil {
		return err
	}
	h, err := openHouse(ctx, opening{storage: t.storage, Dir: t.Data, Logger: slog.Default()}, time.Now)
	if err != nil {
		return err
	}
	if err := h.share(ctx); err != nil {
		return errors.Join(err, h.close())
	}
	return errors.Join(do(h), h.close())
}

type tokenCreateCmd struct {
	Name string        `arg:"" help:"Who or what will use it."`
	Role string        `enum:"viewer,auditor,operator,administrator" default:"viewer" help:"viewer, auditor, operator or administrator."`
	For  time.Duration `help:"How long it is good, e.g. 720h; for ever if not set."`
}

// Run fulfils kong's command.
func (c *tokenCreateCmd) Run(ctx context.Context, all *cli) error {
	return all.Token.with(ctx, func(h *house) error {
		var expires time.Time
		if c.For > 0 {
			expires = time.Now().Add(c.For)
		}
		_, text, err := h.tokens.Create(ctx, shell, c.Name, operator.Role(c.Role), expires)
		if err == nil {
			fmt.Println(text)
		}
		return err
	})
}

type tokenListCmd struct {
	JSON bool `name:"json" help:"One JSON object a line, for programs."`
}

// A tokenLine is a token as it is listed.
type tokenLine struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Role    operator.Role `json:"role"`
	Expires *time.Time    `json:"expires,omitempty"`
	Revoked bool          `json:"revoked"`
}

// Run fulfils kong's command. It reads the log: there are few tokens, and the views may be stale.
func (c *tokenListCmd) Run(ctx context.Context, all *cli) error {
	return all.Token.with(ctx, func(h *house) error {
		var lines []tokenLine
		for env, err := range h.log.ReadAll(ctx, 0) {
			if err != nil {
				return err
			}
			if env.Stream.Kind == operator.Kind && env.Version == 0 {
				line, err := h.tokenLine(ctx, env.Stream)
				if err != nil {
					return err
				}
				lines = append(lines, line)
			}
		}
		return c.print(lines)
	})
}

func (h *house) tokenLine(ctx context.Context, stream eventstore.Stream) (tokenLine, error) {
	t, _, err := h.operators.Load(ctx, stream.ID)
	line := tokenLine{ID: stream.ID, Name: t.Name, Role: t.Role, Revoked: t.Revoked}
	if !t.Expires.IsZero() {
		line.Expires = &t.Expires
	}
	return line, err
}

func (c *tokenListCmd) print(lines []tokenLine) error {
	if c.JSON {
		out := json.NewEncoder(os.Stdout)
		for _, line := range lines {
			if err := out.Encode(line); err != nil {
				return err
			}
		}
		return nil
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ID\tNAME\tROLE\tEXPIRES\tREVOKED")
	for _, line := range lines {
		expires := "never"
		if line.Expires != nil {
			expires = line.Expires.Format(time.RFC3339)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%t\n", line.ID, line.Name, line.Role, expires, line.Revoked)
	}
	return out.Flush()
}

type tokenRevokeCmd struct {
	ID     string `arg:"" help:"The token's id, as listed."`
	Reason string `default:"revoked on the command line" help:"Why; kept in the log."`
}

// Run fulfils kong's command.
func (c *tokenRevokeCmd) Run(ctx context.Context, all *cli) error {
	return all.Token.with(ctx, func(h *house) error { return h.tokens.Revoke(ctx, shell, c.ID, c.Reason) })
}
