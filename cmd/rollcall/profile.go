package main

import (
	"fmt"
	"io"
	"os"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// profileCmd is what can be done with a configuration profile in a file.
type profileCmd struct {
	Sign  profileSignCmd  `cmd:"" help:"Sign a profile, so that devices show it as verified if they trust the signer."`
	Check profileCheckCmd `cmd:"" help:"Hold profiles to Apple's keys, and say what is wrong with them."`
}

// profileSignCmd signs a profile.
type profileSignCmd struct {
	signing
	Data string    `default:"./data" placeholder:"DIR" help:"Where the server keeps the key that signs; ${default} if not said."`
	File string    `arg:"" type:"existingfile" help:"The profile, as XML."`
	Out  io.Writer `kong:"-"`
}

// Run fulfils kong's command.
func (c *profileSignCmd) Run() error {
	if err := c.check(); err != nil {
		return err
	}
	content, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read the profile: %w", err)
	}
	if _, err := handlers.ReadProfile(content); err != nil {
		if r, is := domain.Refused(err); is && r.Hint != "" {
			return fmt.Errorf("%s: %w: %s", c.File, err, r.Hint)
		}
		return fmt.Errorf("%s: %w", c.File, err)
	}
	signer, err := c.signer(c.Data)
	if err != nil {
		return err
	}
	signed, err := signer.Sign(content)
	if err != nil {
		return err
	}
	out := c.Out
	if out == nil {
		out = os.Stdout
	}
	_, err = out.Write(signed)
	return err
}

// profileCheckCmd holds profiles to Apple's keys.
type profileCheckCmd struct {
	Files []string  `arg:"" name:"file" type:"existingfile" help:"Profiles, signed or not."`
	Out   io.Writer `kong:"-"`
}

// Run fulfils kong's command. It fails if there is an error in any of the files; warnings are only told.
func (c *profileCheckCmd) Run() error {
	out, wrong := c.Out, 0
	if out == nil {
		out = os.Stdout
	}
	for _, file := range c.Files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the profile: %w", err)
		}
		draft, err := handlers.ReadDraft(content)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		found := profile.Lint(draft.Values)
		for _, f := range found {
			kind := "error"
			if f.Warning {
				kind = "warning"
			}
			fmt.Fprintf(out, "%s: %s: %s\n", file, kind, f)
		}
		wrong += len(profile.Errors(found))
	}
	if wrong > 0 {
		return fmt.Errorf("%d places are not as Apple's keys want them", wrong)
	}
	return nil
}
