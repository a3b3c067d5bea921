package esdbtest_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// TestConformance lets the official JavaScript client play against the server: another code base than the Go client,
// from which the server was made. `make conformance` installs it and sees to it that this is not passed over.
func TestConformance(t *testing.T) {
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("conformance/node_modules/@eventstore/db-client")
	}
	if err != nil {
		if os.Getenv("ROLLCALL_CONFORMANCE") != "" {
			t.Fatalf("the JavaScript client is not installed: %v", err)
		}
		t.Logf("the make-believe EventStoreDB was NOT held to the JavaScript client, which is not installed (%v): make conformance does", err)
		return
	}
	for name, options := range map[string]esdbtest.Options{"alone": {}, "among noisy neighbours": {Noise: 2}} {
		t.Run(name, func(t *testing.T) {
			s, err := esdbtest.Start(options)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			out, err := exec.CommandContext(t.Context(), node, "conformance/conformance.js", s.URL()).CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Errorf("the JavaScript client expected something else: %v", err)
			}
		})
	}
}
