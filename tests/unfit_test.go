package tests

import (
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// TestWorkersWaitForViewsOfThisVersion starts the program on views that another version of it has written, which today's
// questions do not fit: its workers wait until they are built, and say so once.
func TestWorkersWaitForViewsOfThisVersion(t *testing.T) {
	h := newHost(t)
	h.start()
	const devices = 8
	for _, d := range h.fleet(mdmtest.Fleet{Size: devices, Seed: 6}) {
		if err := d.Enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.wantDevices(devices)
	h.stop()
	conn, err := sqlite.OpenConn(h.data+"/views.db", sqlite.OpenReadWrite)
	if err == nil {
		err = sqlitex.ExecuteTransient(conn, `UPDATE checkpoints SET version = 1000`, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	h.start()
	until(t, "the views are built", func() bool { return strings.Contains(h.said.String(), "views were rebuilt") })
	h.wantDevices(devices)
	h.stop()
	if said := h.said.String(); strings.Count(said, "begin when the views are built") != 1 || strings.Contains(said, "ERROR") {
		t.Error("the workers did not wait in silence")
	}
}
