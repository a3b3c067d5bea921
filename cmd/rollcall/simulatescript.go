package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// playScript plays the lines of --script. Its devices are made as the fleet's would be.
func (s *simulateCmd) playScript(ctx context.Context, load *mdmtest.Load) error {
	f, err := os.Open(s.Script)
	if err != nil {
		return fmt.Errorf("read --script: %w", err)
	}
	defer f.Close()
	model := load.Devices[0]
	if model.Proof.Way == mdmtest.ByTLS {
		return errors.New("a script's devices change their certificates, so they show them by header or signature: take another --identity")
	}
	ca, err := s.ca()
	if err != nil {
		return err
	}
	script := &mdmtest.Script{
		Fleet:   mdmtest.Fleet{Server: model.Server, CA: ca, Proof: model.Proof, Wire: model.Wire, Seed: s.Seed},
		Orderer: load.Orderer, Out: s.Out,
	}
	return script.Play(ctx, f)
}
