package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// A role is a part of the server that may run on a machine of its own. /healthz, /readyz, /metrics and the command line's socket
// are there whatever its roles.
type role string

const (
	checkin role = "checkin" // /mdm/checkin: where devices check in
	connect role = "connect" // /mdm/connect: where they get commands; with checkin, /mdm too
	coming  role = "enroll"  // /enroll, /scep, /crl: how they come in
	api     role = "api"     // /graphql, /v1, /log: what people and programs ask
	working role = "workers" // pushes, renewals and all else that the server does by itself
)

var allRoles = []role{checkin, connect, coming, api, working}

// A split says which roles a server has.
type split struct {
	Roles []string `placeholder:"ROLE" help:"What this server does, of checkin, connect, enroll, api and workers; everything if not said. For servers that share a log and its keys (--store esdb://… --keys postgres://…)."`
}

// has reports whether the server has one of the roles.
func (s split) has(any ...role) bool {
	if len(s.Roles) == 0 {
		return true
	}
	return slices.ContainsFunc(any, func(r role) bool { return slices.Contains(s.Roles, string(r)) })
}

// check refuses roles that there are not, and a part of a server that has no others beside it.
func (s split) check(at storage) error {
	for _, name := range s.Roles {
		if !slices.Contains(allRoles, role(name)) {
			return fmt.Errorf("--roles %q is none: take some of checkin, connect, enroll, api and workers, or leave it out for all", name)
		}
	}
	if i := slices.IndexFunc(allRoles, func(r role) bool { return !s.has(r) }); i >= 0 && (at.embedded() || !at.shared()) {
		return fmt.Errorf("--roles %s leaves %s to another server, and servers share a log and its keys: say --store esdb://… and --keys postgres://… too",
			strings.Join(s.Roles, ","), allRoles[i])
	}
	return nil
}

// doors returns where the doors of a role are mounted: nowhere that is listened at, if the server does not have it.
func (s split) doors(e *echo.Echo, r role) *echo.Echo {
	if s.has(r) {
		return e
	}
	return echo.New()
}
