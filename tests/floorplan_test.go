package tests_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rollcall-mdm/rollcall"

// A room is where a package lives in the house.
type room string

// The rooms. A partner is a make-believe one, such as mdmtest, that stands beside the door at which it knocks.
const (
	nowhere    room = ""
	letters    room = "rawjson"
	ground     room = "domain"
	apple      room = "domain/command"
	aggregate  room = "an aggregate"
	catalogue  room = "domain/catalog"
	log        room = "eventstore"
	engine     room = "below eventstore"
	proof      room = "eventstore/ledger"
	views      room = "projections"
	doors      room = "handlers"
	plists     room = "handlers/plist"
	door       room = "a door"
	partner    room = "a make-believe partner"
	graph      room = "graphql"
	top        room = "cmd"
	outOfDoors room = "tests"
)

// roomOf returns the room of a package, given by its path within the module.
func roomOf(pkg string) room {
	if fixed, ok := map[string]room{
		"rawjson": letters, "domain": ground, "domain/command": apple, "domain/catalog": catalogue, "eventstore": log, "eventstore/ledger": proof,
		"handlers": doors, "handlers/plist": plists, "handlers/cms": plists, "graphql": graph, "projections": views, "tests": outOfDoors,
	}[pkg]; ok {
		return fixed
	}
	parts := strings.Split(pkg, "/")
	switch {
	case parts[0] == "cmd" && len(parts) >= 2:
		return top
	case parts[0] == "tests" && len(parts) == 2: // benches across rooms
		return outOfDoors
	case parts[0] == "domain" && len(parts) == 2:
		return aggregate
	case parts[0] == "eventstore" && len(parts) == 2:
		return engine
	case parts[0] == "handlers" && len(parts) == 2:
		return door
	case len(parts) >= 3 && strings.HasSuffix(pkg, "test") && roomOf(path.Dir(pkg)) != nowhere:
		return partner
	}
	return nowhere
}

// mayEnter says which rooms may be imported from which: the floors below, and what is shared on the same one.
var mayEnter = map[room][]room{
	letters:   {},
	ground:    {},
	apple:     {ground},
	aggregate: {letters, ground, apple},
	catalogue: {ground, apple, aggregate},
	log:       {},
	proof:     {log},
	engine:    {letters, log, proof}, // a log keeps the hashes of what it commits
	views:     {letters, ground, apple, aggregate, catalogue, log},
	doors:     {letters, ground, apple, aggregate, catalogue, log, views, plists},
	plists:    {},
	door:      {ground, apple, aggregate, catalogue, log, views, doors, plists},
	graph:     {letters, ground, apple, aggregate, catalogue, log, views, doors, plists},
	partner:   {ground, apple, aggregate, log, plists, partner},
	top: {
		ground, apple, aggregate, catalogue, log, engine, proof, views, doors, plists, door, graph, partner, top,
	},
	outOfDoors: {
		ground, apple, aggregate, catalogue, log, engine, proof, views, doors, plists, door, graph, partner,
	},
}

// ours says why a package of ours may not import another, or nothing if it may. Both are paths within the module.
func ours(from, to string) string {
	a, b := roomOf(from), roomOf(to)
	if b == nowhere {
		return fmt.Sprintf("%s is on no floor", to)
	}
	for _, may := range mayEnter[a] {
		if may == b {
			return ""
		}
	}
	return fmt.Sprintf("%s may not import %s (%s from %s)", from, to, b, a)
}

// libraries says in which rooms an outside library is at home: it stays where it is needed.
var libraries = map[string][]string{
	"github.com/labstack/echo/v4":                   {"handlers", "graphql", "cmd", "tests/dictionary"},
	"howett.net/plist":                              {"handlers", "graphql"},
	"google.golang.org/grpc":                        {"eventstore/esdb"}, // which its client speaks
	"github.com/EventStore/EventStore-Client-Go/v4": {"eventstore/esdb"},
	"github.com/sideshow/apns2":                     {"handlers/push"},
	"github.com/graphql-go/graphql":                 {"graphql"},
	"github.com/smallstep/pkcs7":                    {"handlers"},
	"software.sslmate.com/src/go-pkcs12":            {"handlers/cms"},
	"github.com/smallstep/scep":                     {"handlers/scep", "handlers/mdm/mdmtest"},
	"github.com/coreos/go-oidc/v3":                  {"handlers/enroll"},
	"github.com/wneessen/go-mail":                   {"handlers/mail"},
	"rsc.io/qr":                                     {"handlers"},
	"github.com/jackc/pgx/v5":                       {"eventstore/seal", "eventstore/lease"},
	"github.com/go-jose/go-jose/v4":                 {"handlers/acme", "handlers/mdm/mdmtest"}, // what clients of ACME sign
	"github.com/fxamacker/cbor/v2":                  {"handlers/acme", "handlers/mdm/mdmtest"}, // in which devices attest
	"github.com/micromdm/scep/v2":                   {"handlers/scep"},                         // plays a client in tests
	"zombiezen.com/go/sqlite":                       {"eventstore/embedded", "eventstore/seal", "projections"},
	"modernc.org/sqlite":                            {"eventstore/embedded", "eventstore/seal", "projections"},
	"github.com/klauspost/compress":                 {"eventstore/embedded", "eventstore/seal", "tests/dictionary"},
	"github.com/prometheus/client_golang":           {"cmd", "handlers", "graphql", "projections", "eventstore/embedded"},
	"github.com/alecthomas/kong":                    {"cmd"},
	"golang.org/x":                                  {"cmd", "handlers", "graphql", "projections", "eventstore/embedded", "eventstore/esdb", "eventstore/ledger"},
	"pgregory.net/rapid":                            {"eventstore/eventstoretest"},
	"go.uber.org/goleak":                            {"eventstore/eventstoretest"},
	"github.com/anishathalye/porcupine":             {"eventstore/eventstoretest"},
}

// outside says why a package may not import an outside library, or nothing if it may.
func outside(from, library string) string {
	for prefix, homes := range libraries {
		if !within(library, prefix) {
			continue
		}
		for _, home := range homes {
			if within(from, home) {
				return ""
			}
		}
		return fmt.Sprintf("%s may not import %s: it is at home in %s", from, library, strings.Join(homes, ", "))
	}
	return fmt.Sprintf("%s imports %s, which has no home: give it one in the floor plan", from, library)
}

// within reports whether the path is prefix or below it.
func within(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

// worldly are the packages of the standard library by which clocks, files, networks and chance get in.
var worldly = []string{
	"context", "os", "io/fs", "io/ioutil", "path/filepath", "net", "net/http", "log", "log/slog", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "testing", "unsafe",
}

// standard says why a package may not import one of the standard library, or nothing if it may.
func standard(from, pkg string) string {
	if !within(from, "domain") {
		return ""
	}
	for _, w := range worldly {
		if pkg == w {
			return fmt.Sprintf("%s may not import %s: the domain has no clock, context, file or chance in it", from, pkg)
		}
	}
	return ""
}

// edge says why from may not import the package, whatever sort it is, or nothing if it may.
func edge(from, imported string) string {
	switch first, _, _ := strings.Cut(imported, "/"); {
	case within(imported, module):
		return ours(from, strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"))
	case strings.Contains(first, "."):
		return outside(from, imported)
	}
	return standard(from, imported)
}

func TestTheFloorPlanIsKept(t *testing.T) {
	packages := 0
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil // tests may import anything
		}
		packages++
		return inspect(t, file)
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages < 10 {
		t.Errorf("only %d files were found: is this still the house?", packages)
	}
}

// inspect reports what is wrong with one file.
func inspect(t *testing.T, file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "../")
	if roomOf(pkg) == nowhere {
		t.Errorf("%s: %s is on no floor", file, pkg)
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if why := edge(pkg, imported); why != "" {
			t.Errorf("%s: %s", file, why)
		}
	}
	for _, why := range habits(pkg, parsed) {
		t.Errorf("%s: %s", file, why)
	}
	return nil
}

// habits lists what a file does that no file of the house does: work before main, and, in the domain, look at a clock.
func habits(pkg string, file *ast.File) (wrong []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				wrong = append(wrong, "it has an init function")
			}
		case *ast.SelectorExpr:
			of, ok := n.X.(*ast.Ident)
			if ok && of.Name == "time" && within(pkg, "domain") && strings.Contains(" Now Since Until After Sleep Tick NewTimer NewTicker AfterFunc ", " "+n.Sel.Name+" ") {
				wrong = append(wrong, "the domain asks time."+n.Sel.Name+": a time is an argument")
			}
		}
		return true
	})
	return wrong
}

func TestTheFloorPlanSeesBadEdges(t *testing.T) {
	tests := []struct {
		from, to string
		good     bool
	}{
		{"domain/device", module + "/domain", true},
		{"domain/device", module + "/domain/command", true},
		{"domain/device", "slices", true},
		{"domain/device", "time", true},
		{"domain/device", module + "/domain/operator", false},
		{"domain/device", module + "/domain/catalog", false},
		{"domain/device", module + "/eventstore", false},
		{"domain/device", "context", false},
		{"domain/device", "os", false},
		{"domain/device", "crypto/rand", false},
		{"domain/device", "howett.net/plist", false},
		{"domain", module + "/domain/device", false},
		{"domain/command", module + "/domain/device", false},
		{"domain/catalog", module + "/domain/device", true},
		{"eventstore", "context", true},
		{"eventstore", module + "/domain", false},
		{"eventstore", module + "/eventstore/seal", false},
		{"eventstore", "golang.org/x/sync/errgroup", false},
		{"eventstore/embedded", module + "/eventstore", true},
		{"eventstore/embedded", module + "/eventstore/seal", false},
		{"eventstore/embedded", module + "/domain", false},
		{"eventstore/embedded", "zombiezen.com/go/sqlite/sqlitex", true},
		{"eventstore/esdb/esdbtest", module + "/eventstore", true},
		{"projections", module + "/domain/device", true},
		{"projections", module + "/eventstore", true},
		{"projections", module + "/eventstore/embedded", false},
		{"projections", module + "/handlers", false},
		{"handlers", module + "/handlers/plist", true},
		{"handlers", module + "/handlers/mdm", false},
		{"handlers/plist", module + "/handlers", false},
		{"handlers/mdm", module + "/handlers", true},
		{"handlers/mdm", module + "/handlers/plist", true},
		{"handlers/mdm", module + "/projections", true},
		{"handlers/mdm", "github.com/labstack/echo/v4/middleware", true},
		{"handlers/mdm", "github.com/labstack/echo/v4x", false},
		{"handlers/mdm", module + "/handlers/push", false},
		{"handlers/mdm", module + "/handlers/mdm/mdmtest", false},
		{"handlers/mdm", module + "/eventstore/seal", false},
		{"handlers/mdm", module + "/graphql", false},
		{"handlers/mdm", "zombiezen.com/go/sqlite", false},
		{"handlers/mdm", "github.com/graphql-go/graphql", false},
		{"handlers/mdm/mdmtest", module + "/handlers/mdm", false},
		{"handlers/mdm/mdmtest", module + "/handlers/plist", true},
		{"graphql", module + "/projections", true},
		{"graphql", module + "/handlers", true},
		{"graphql", module + "/handlers/mdm", false},
		{"graphql", module + "/handlers/auth", false},
		{"graphql", "github.com/graphql-go/graphql/language/ast", true},
		{"cmd/rollcall", module + "/eventstore/embedded", true},
		{"cmd/rollcall", module + "/handlers/mdm/mdmtest", true},
		{"cmd/rollcall", module + "/tests", false},
		{"cmd/rollcall", module + "/util", false},
		{"tests/bench", module + "/handlers/mdm/mdmtest", true},
		{"tests/bench", module + "/cmd/rollcall", false},
		{"handlers/mdm", module + "/tests/bench", false},
		{"cmd/rollcall", "github.com/spf13/cobra", false},
		{"domain/device", module, false},
	}
	for _, tt := range tests {
		if why := edge(tt.from, tt.to); (why == "") != tt.good {
			t.Errorf("%s imports %s: the plan says %q", tt.from, tt.to, why)
		}
	}
}

func TestThePlanKnowsItsRooms(t *testing.T) {
	for _, pkg := range []string{"", ".", "util", "domain/device/deep", "handlers/mdm/deep", "eventstore/x/y", "pkg/handlers/mdm", "cmd", "projections/x"} {
		if r := roomOf(pkg); r != nowhere {
			t.Errorf("%q is in the room %q", pkg, r)
		}
	}
}

func TestHabitsAreSeen(t *testing.T) {
	const text = `package p
import "time"
func init() {}
func f() time.Time { return time.Now().Add(time.Second) }`
	parsed, err := parser.ParseFile(token.NewFileSet(), "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := habits("domain/device", parsed); len(got) != 2 {
		t.Errorf("in the domain: %q", got)
	}
	if got := habits("eventstore", parsed); len(got) != 1 {
		t.Errorf("elsewhere: %q", got)
	}
}
