package tests

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// TestStoriesOverEventStoreDB plays the same stories once more with the log in a make-believe EventStoreDB, which is
// played by the test: a story tells by [embedded] and [esdb] where the two differ. So are the stories that are only
// about it; they take longest, and begin first.
func TestStoriesOverEventStoreDB(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"testdata/stories-esdb", "testdata/stories"} {
		testscript.Run(t, testscript.Params{
			Dir: dir, Setup: beginElsewhere, Cmds: commands, Condition: elsewhere,
			RequireExplicitExec: true, RequireUniqueNames: true,
		})
	}
}

// here and elsewhere are the conditions of a story: where the log is.
func here(name string) (bool, error)      { return where(name, "embedded") }
func elsewhere(name string) (bool, error) { return where(name, "esdb") }

func where(name, is string) (bool, error) {
	if name != "embedded" && name != "esdb" {
		return false, fmt.Errorf("no story asks for %q", name)
	}
	return name == is, nil
}

// beginElsewhere gives a story an EventStoreDB of its own, with the noise of others in it. Everything that the story
// runs keeps its log there.
func beginElsewhere(env *testscript.Env) error {
	if err := begin(env); err != nil {
		return err
	}
	s := env.Values[storyKey{}].(*story)
	server, err := esdbtest.Start(esdbtest.Options{Noise: 5})
	if err != nil {
		return err
	}
	s.store = server
	env.Setenv("ROLLCALL_STORE", server.URL())
	return nil
}

// environment is what the programs that the story runs are told by it.
func (s *story) environment() []string {
	if s.store == nil {
		return os.Environ()
	}
	return append(os.Environ(), "ROLLCALL_STORE="+s.store.URL())
}

// store WHAT happens to the story's EventStoreDB: away takes it off the network, back brings it back with all that it
// had, cut ends all connections; anew puts
// an empty one in its place; alter TYPE OLD NEW changes the newest event of a type, behind everybody's back; noise N writes as many events of a neighbour. Any other word is a fault (lose, refuse,
// stall, drop, strange, slow, not-leader) followed by the method that it hits (Append or Read), and how often.
func (s *story) storeWord(_ io.Writer, args []string) error {
	if s.store == nil {
		return fmt.Errorf("this story has no EventStoreDB")
	}
	switch args[0] {
	case "away":
		s.store.Stop()
		return nil
	case "back":
		return s.store.Restart()
	case "cut":
		s.store.Stop()
		return s.store.Restart()
	case "anew":
		address := s.store.Addr()
		s.store.Close()
		var err error
		s.store, err = esdbtest.Start(esdbtest.Options{Addr: address})
		return err
	case "alter":
		return s.store.Alter(args[1], func(e *esdbtest.Event) {
			e.Data = []byte(strings.Replace(string(e.Data), args[2], args[3], 1))
		})
	case "noise":
		n, err := strconv.Atoi(args[1])
		for range n {
			s.store.Seed("shop-1", "shop.sold", nil, []byte("{}"))
		}
		return err
	}
	f := esdbtest.Fault{Kind: esdbtest.Kind(args[0]), Method: args[1], Pace: 20 * time.Millisecond}
	if args[0] == "not-leader" {
		f.Kind = esdbtest.NotLeader
	}
	if len(args) > 2 {
		var err error
		if f.Times, err = strconv.Atoi(args[2]); err != nil {
			return err
		}
	}
	s.store.Inject(f)
	return nil
}
