package main

import (
	"errors"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/assign"
)

// wantedTimes are how long and how often devices are dealt with that are to have something.
type wantedTimes struct {
	SetupLimit time.Duration `name:"setup-limit" default:"10m" help:"How long a device is kept waiting in Setup Assistant for what it is to have first; ${default} if not said."`
	CheckEvery time.Duration `name:"check-every" default:"24h" help:"How often devices are asked whether what they are to have is there still; ${default} if not said."`
}

// check refuses times that cannot work.
func (t wantedTimes) check() error {
	switch {
	case t.SetupLimit < time.Minute || t.SetupLimit > 24*time.Hour:
		return errors.New("--setup-limit must be between 1m and 24h: somebody stands before the device and waits")
	case t.CheckEvery < 10*time.Minute || t.CheckEvery > 30*24*time.Hour:
		return errors.New("--check-every must be between 10m and 720h: every device answers with its lists of profiles and apps")
	}
	return nil
}

// keeper is who brings devices to what they are to have.
func (s *server) keeper() *assign.Keeper {
	return &assign.Keeper{
		Log: s.house.log, Views: s.views, Devices: s.devices, Things: s.house.wanted, Library: s.library(), Now: s.now, Logger: s.logger,
		SetupLimit: s.SetupLimit, CheckEvery: s.CheckEvery,
	}
}
