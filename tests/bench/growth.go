package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// How many devices are asked for their apps, and how often once nothing has changed.
const (
	growthDevices = 500
	unchanged     = 6
)

// growth asks devices for their 60 applications, and prints what a command takes on disk: ordered, handed out and
// answered, in the files of a server that has stopped. The first answer is all new; the later ones say the same.
func (s settings) growth(ctx context.Context) error {
	fmt.Println("\ngrowth: InstalledApplicationList of 60 applications, command after command")
	var sizes [3]map[string]int64
	var trouble error
	for i, rounds := range []int{0, 1, 1 + unchanged} {
		var err error
		sizes[i], err = s.inventories(ctx, rounds)
		trouble = errors.Join(trouble, err)
	}
	for _, file := range []string{"log.db", "views.db"} {
		first := sizes[1][file] - sizes[0][file]
		later := (sizes[2][file] - sizes[1][file]) / unchanged
		fmt.Printf("%-8s %5d bytes a command the first time, %5d when nothing has changed\n", file, first/growthDevices, later/growthDevices)
	}
	return trouble
}

// inventories lets a fresh server ask its devices for their apps as often as rounds says. It returns the sizes of its
// files when it has stopped.
func (s settings) inventories(ctx context.Context, rounds int) (map[string]int64, error) {
	var stopped *server
	err := s.withServer(ctx, func(srv *server) error {
		stopped = srv
		load, err := s.load(srv, growthDevices, 3)
		if err != nil {
			return err
		}
		load.Questions = []mdmtest.Question{{RequestType: "InstalledApplicationList"}}
		load.Prepare()
		phases := []mdmtest.Phase{load.Enrol(ctx)}
		for range rounds {
			phases = append(phases, load.Order(ctx, 1), load.Answer(ctx))
		}
		return errors.Join(trouble(phases...), srv.settle(ctx))
	})
	return stopped.final, err
}
