// Command rollcall is an Apple MDM server whose one source of truth is an append-only event log.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set when the program is built for a release.
var version = "dev"

// cli is the command line. Every flag is also an environment variable ROLLCALL_… and a key of the JSON file that
// --config names.
type cli struct {
	Config  kong.ConfigFlag  `help:"JSON file with settings: flag names as keys." placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve      serveCmd      `cmd:"" help:"Run the server."`
	Demo       demoCmd       `cmd:"" help:"Run a server, a make-believe Apple and a small fleet, ready to look at."`
	Simulate   simulateCmd   `cmd:"" help:"Play devices against any server, and print figures."`
	Audit      auditCmd      `cmd:"" help:"Take evidence from the log, and check it without us."`
	Token      tokenCmd      `cmd:"" help:"Create, list and revoke API tokens (while the server is stopped)."`
	Verify     verifyCmd     `cmd:"" help:"Read, open and fold everything, and compare the views and the ledger with the log (while the server is stopped)."`
	Views      viewsCmd      `cmd:"" help:"List the views, or fold them anew, also while the server runs."`
	Backup     backupCmd     `cmd:"" help:"Copy the log, also while the server runs."`
	Archive    archiveCmd    `cmd:"" help:"Move old events out of the log to a file that stays provable, and check such files."`
	Keys       keysCmd       `cmd:"" help:"Change the master key, or forget the personal data of a device or a user for good."`
	Profile    profileCmd    `cmd:"" help:"Check and sign configuration profiles."`
	Invitation invitationCmd `cmd:"" help:"Make invitations, show their links, and mail them."`
	Pushcert   pushcertCmd   `cmd:"" help:"Ask for, sign, import and list push certificates."`
	CA         caCmd         `cmd:"" name:"ca" help:"Look after the roots that issue the identities of devices, and after what they have issued."`
	Replay     replayCmd     `cmd:"" help:"Print history, or the state of a moment, also while the server runs."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 1 {
		os.Args = append(os.Args, "--help") // who says nothing wants to know what could be said
	}
	var c cli
	parser := kong.Parse(&c,
		kong.Name("rollcall"),
		kong.Description("An Apple MDM server that remembers everything and can prove it."),
		kong.Vars{"version": version},
		kong.Configuration(readConfig),
		kong.DefaultEnvars("ROLLCALL"),
		kong.ShortUsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err := parser.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "rollcall:", err)
		os.Exit(1)
	}
}
