package ledger_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

func (h *house) at(t *testing.T, size int64) []byte {
	t.Helper()
	signed, err := h.CheckpointAt(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// A bundle is compared with checkpoints that somebody kept: what was changed since, or set back, is found.
func TestWitnessed(t *testing.T) {
	h := newHouse(t)
	h.append(t, 101)
	p := h.export(t, ledger.Question{Stream: "device-d1"}, 0) // one that holds not all events can be compared too
	other := newHouse(t)
	other.Key = h.Key // its owner writes another past
	other.append(t, 101)
	strange := newHouse(t)
	strange.append(t, 1)
	h.append(t, 1)
	for name, tt := range map[string]struct {
		kept   [][]byte
		agreed int
		says   string
	}{
		"all agree, in any order":  {[][]byte{h.at(t, 303), h.at(t, 1), h.at(t, 257), h.at(t, 0), h.at(t, 1)}, 5, ""},
		"another past":             {[][]byte{other.at(t, 300), h.at(t, 40), h.at(t, 50)}, 2, "one or more of positions 51 to 300 were changed"},
		"another past, from start": {[][]byte{other.at(t, 7)}, 0, "one or more of positions 1 to 7 were changed"},
		"set back":                 {[][]byte{h.at(t, 10), h.at(t, 306)}, 1, "a witness saw 306 events, and this log has 303"},
		"another log's":            {[][]byte{strange.at(t, 1), h.at(t, 2)}, 1, "cannot be compared"},
	} {
		v, err := ledger.Verification{Public: p.public, Witnessed: tt.kept}.Bundle(t.Context(), p.dir)
		if err != nil || v.Agreed != tt.agreed || v.Good != (tt.says == "") {
			t.Errorf("%s: %+v (%v)", name, v, err)
		}
		if tt.says != "" {
			found(t, v, 0, tt.says)
		}
	}
}

// What witnesses keep is read again: notes with empty lines between them or none, and lines of syslog.
func TestParseWitnessed(t *testing.T) {
	h := newHouse(t)
	h.append(t, 2)
	want := [][]byte{h.at(t, 1), h.at(t, 4), h.at(t, 6)}
	syslog := func(c []byte) string {
		return "Nov 26 12:00:00 host rollcall[7]: checkpoint origin=x size=1 root=y note=" + base64.StdEncoding.EncodeToString(c) + "\n"
	}
	for name, text := range map[string]string{
		"as a file witness writes": string(want[0]) + "\n" + string(want[1]) + "\n" + string(want[2]) + "\n",
		"one after the other":      string(want[0]) + string(want[1]) + string(want[2]),
		"with a mail's line ends":  strings.ReplaceAll(string(bytes.Join(want, []byte("\n\n"))), "\n", "\r\n"),
		"syslog":                   "other: things\n" + syslog(want[0]) + syslog(want[1]) + syslog(want[2]),
	} {
		got, err := ledger.ParseWitnessed([]byte(text))
		if err != nil || len(got) != 3 {
			t.Errorf("%s: %d checkpoints (%v)", name, len(got), err)
			continue
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%s: number %d is %q, want %q", name, i, got[i], want[i])
			}
		}
	}
	for _, text := range []string{"", "\n", "no checkpoint\n", "a\n1\nroot\n"} {
		if got, err := ledger.ParseWitnessed([]byte(text)); err == nil {
			t.Errorf("%q is %q", text, got)
		}
	}
}

// A syslog server is sent a line with the whole checkpoint in it.
func TestTheSyslogWitness(t *testing.T) {
	listener, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	h := newHouse(t)
	h.append(t, 1)
	w, err := ledger.ParseWitness("syslog://" + listener.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	h.Witnesses = []ledger.Witness{w}
	if err := h.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, _, err := listener.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ledger.ParseWitnessed(buf[:n])
	if err != nil || !bytes.Equal(got[0], h.at(t, 3)) || !strings.Contains(string(buf[:n]), "size=3") {
		t.Errorf("syslog was sent %q (%v)", buf[:n], err)
	}
}

// Between any two of 1,000 checkpoints there is a proof that the later log begins with the earlier one, and another
// implementation of RFC 6962 takes it.
func TestConsistencyOfAThousandCheckpoints(t *testing.T) {
	h := newHouse(t)
	h.append(t, 334)
	n := int64(1000)
	if eventstoretest.Raced {
		n = 100 // nobody shares anything here
	}
	roots := make([]tlog.Hash, n+1)
	for size := range n + 1 {
		var err error
		if roots[size], err = h.Root(t.Context(), size); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := h.Reader(t.Context()).ReadHashes(all(tlog.StoredHashCount(n)))
	if err != nil {
		t.Fatal(err)
	}
	inMemory := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			list[i] = stored[at]
		}
		return list, nil
	})
	pairs := int64(0)
	for newer := int64(1); newer <= n; newer++ {
		for older := int64(1); older <= newer; older++ {
			path, err := tlog.ProveTree(newer, older, inMemory)
			if err == nil {
				err = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(older), uint64(newer), hashes(path), roots[older][:], roots[newer][:])
			}
			if err != nil {
				t.Fatalf("%d to %d: %v", older, newer, err)
			}
			pairs++
		}
	}
	if pairs != n*(n+1)/2 {
		t.Errorf("%d pairs were compared", pairs)
	}
	for _, older := range []int64{1, 2, n/2 + 11, n/2 + 12, n/2 + 13, n - 1, n} { // and what the ledger gives is the same
		path, err := h.Consistency(t.Context(), older, n)
		again, _ := tlog.ProveTree(n, older, inMemory)
		if err != nil || fmt.Sprint(path) != fmt.Sprint(again) {
			t.Errorf("from %d: %v (%v)", older, path, err)
		}
	}
}

// Inclusion proofs are what another implementation takes, at many sizes.
func TestInclusionIsRFC6962s(t *testing.T) {
	h := newHouse(t)
	h.append(t, 90)
	var leaves [][]byte
	for env, err := range h.log.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(ledger.Canonical(env)))
	}
	for _, size := range []int64{1, 2, 3, 7, 64, 65, 255, 256, 257, 270} {
		root, err := h.Root(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		for at := range size {
			path, err := tlog.ProveRecord(size, at, h.Reader(t.Context()))
			if err == nil {
				err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(at), uint64(size), leaves[at], hashes(path), root[:])
			}
			if err != nil {
				t.Fatalf("leaf %d of %d: %v", at, size, err)
			}
		}
	}
}

func all(n int64) []int64 {
	indexes := make([]int64, n)
	for i := range indexes {
		indexes[i] = int64(i)
	}
	return indexes
}

// The sums are those of everybody's own tool.
func TestTheSumsAreCheckedBySha256sum(t *testing.T) {
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Fatal("this test wants sha256sum, of coreutils: ", err)
	}
	h := newHouse(t)
	h.append(t, 100)
	p := h.export(t, ledger.Question{Stream: "device-d1"}, 0)
	check := exec.Command(tool, "--check", "--strict", "SHA256SUMS")
	check.Dir = p.dir
	out, err := check.CombinedOutput()
	if n := strings.Count(string(out), ": OK\n"); err != nil || n != 100+7 {
		t.Errorf("%d files are as they were (%v):\n%s", n, err, out)
	}
	p.edit(t, "proofs/150.tlog-proof", func(b []byte) []byte { b[45] ^= 2; return b })
	check = exec.Command(tool, "--check", "--quiet", "SHA256SUMS")
	check.Dir = p.dir
	if out, err := check.CombinedOutput(); err == nil || !strings.Contains(string(out), "proofs/150.tlog-proof: FAILED") {
		t.Errorf("a changed file: %v %s", err, out)
	}
}
