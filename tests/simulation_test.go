package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// How much is simulated at every run: lives of a fleet, each with another seed, and how many days of a device each has. The
// environment asks for more (`make soak`), or for one seed again.
const (
	simulatedSeeds = 4
	simulatedDays  = 60
	daysEnv        = "ROLLCALL_DEVICE_DAYS" // of each seed
	seedEnv        = "ROLLCALL_SEED"        // only this one
)

// TestDeviceDays lets devices live with a server whose log fails, whose clock is set back and forward, and which starts anew,
// all as a seed says; then the faults stop. Whatever the server took is in the log, once, and proven; every command that was
// taken comes to its end within a few polls; remembered devices, snapshots and views are what a fresh fold of the log is.
func TestDeviceDays(t *testing.T) {
	t.Parallel()
	days, seeds, first := simulatedDays, simulatedSeeds, uint64(1)
	if text := os.Getenv(daysEnv); text != "" {
		days = wholeNumber(t, daysEnv, text)
	}
	if text := os.Getenv(seedEnv); text != "" {
		first, seeds = uint64(wholeNumber(t, seedEnv, text)), 1
	}
	for seed := first; seed < first+uint64(seeds); seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			s := newSimulation(t, seed)
			for range days {
				s.day()
			}
			s.calm()
			s.wantIdle()
			s.wantLog()
			s.wantSameStates()
			s.wantSameViews()
			s.wantSameRoots()
			if t.Failed() {
				t.Logf("%s=%d %s=%d plays this again", seedEnv, seed, daysEnv, days)
			}
			t.Logf("%d device-days: %d events, %d orders were taken; %d faults, %d messages were broken off, %d restarts", days, s.events, len(s.taken), s.met, s.broken, s.restarts)
		})
	}
}

func wholeNumber(t *testing.T, name, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, and should be a number from 1 on", name, text)
	}
	return n
}

// day is one day of one device, or something that happens to the server.
func (s *simulation) day() {
	s.clock = s.clock.Add(time.Duration(s.rng.Int64N(int64(24 * time.Hour / simulatedFleet))))
	d := s.fleet[s.rng.IntN(len(s.fleet))]
	for range 1 + s.rng.IntN(4) {
		if s.rng.IntN(3) == 0 {
			s.faulty.Arm(1+s.rng.IntN(8), s.faults[s.rng.IntN(len(s.faults))])
		}
		s.act(d)
		if s.faulty.Met() {
			s.met++
			s.faulty.Arm(0, 0)
		}
		s.clock = s.clock.Add(time.Duration(s.rng.Int64N(int64(time.Hour))))
	}
	switch s.rng.IntN(12) {
	case 0:
		s.restart()
	case 1:
		s.clock = s.clock.Add(-time.Duration(s.rng.Int64N(int64(2 * time.Hour))))
	case 2:
		s.clock = s.clock.Add(48 * time.Hour)
	case 3, 4, 5:
		s.fold()
	}
}

// act is something that a device, or somebody who gives it a command, does. What fails is done again another day.
func (s *simulation) act(d *simulated) {
	switch n := s.rng.IntN(20); {
	case !d.Enrolled():
		s.gives(d, d.Enrol)
	case n < 8:
		s.order(d)
	case n < 17:
		s.session(d)
	case n == 17:
		s.renewed++
		d.Change(func(d *mdmtest.Device) { d.Push.Token = fmt.Appendf(nil, "token %d", s.renewed) })
		s.gives(d, d.UpdateToken)
	case n == 18:
		s.try(d.Authenticate(s.t.Context()))
		s.gives(d, d.UpdateToken)
	default:
		s.try(d.CheckOut(s.t.Context()))
	}
}

// try counts what was broken off. A device that a fault has met knows as little about it as a real one.
func (s *simulation) try(err error) {
	if err != nil {
		s.broken++
	}
}

// shuffled returns a source of chance that the seed decides alone.
func shuffled(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x0a11)) }
