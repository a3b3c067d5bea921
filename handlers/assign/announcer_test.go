package assign

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A crier is an Announcer, and people who declare.
type crier struct {
	*yard
	announcer *Announcer
	todo      todo
	read      eventstore.Position
	declared  *handlers.Declarations
}

func newCrier(t *testing.T) *crier {
	y := newYard(t)
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: y.keys, Upcasts: catalog.Upcasts()}
	c := &crier{yard: y, declared: &handlers.Declarations{Views: y.views, Stamp: stamp, Declarations: &eventstore.Repository[declaration.Declaration, domain.Event]{
		Log: y.log, Codec: codec, Kind: declaration.Kind, Fold: declaration.Declaration.Evolve, Now: y.clock,
	}}}
	c.restart()
	return c
}

// restart puts a new Announcer in the place of the old one, which looks at everybody.
func (c *crier) restart() {
	head, err := c.log.Head(c.Context())
	c.check(err)
	c.announcer = &Announcer{Log: c.log, Views: c.views, Devices: c.devices}
	c.todo, c.read = todo{all: true, moved: map[string]bool{}, spoke: map[string]bool{}, upTo: head}, head
}

// announce lets the Announcer do all that there is to do, as Run would.
func (c *crier) announce() {
	c.Helper()
	for range 20 {
		c.check(c.announcer.work(c.Context(), &c.todo))
		head, err := c.log.Head(c.Context())
		c.check(err)
		if head == c.read {
			return
		}
		for env, err := range c.log.ReadAll(c.Context(), c.read) {
			c.check(err)
			c.todo.add([]eventstore.Envelope{env})
			c.read = env.Position
		}
	}
	c.Fatal("the Announcer does not come to an end")
}

// told announces, lets a channel connect, and checks what it was handed.
func (c *crier) told(id string, channel device.ChannelID, want string) {
	c.Helper()
	c.announce()
	if got := c.connects(id, channel, nil); got != want {
		c.Fatalf("%s %s was handed %q, want %q", id, channel, got, want)
	}
	c.announce()
}

func (c *crier) put(id string, length int) {
	c.Helper()
	_, err := c.declared.Put(c.Context(), ada, id, "com.apple.management.properties", json.RawMessage(fmt.Sprintf(`{"n":%d}`, length)), false)
	c.check(err)
}

func (c *crier) give(id string, users bool) {
	c.Helper()
	_, err := c.declared.Assign(c.Context(), ada, id, declaration.Assignment{Group: "labs", Users: users})
	c.check(err)
}

func TestChannelsAreToldOfWhatIsNewToThem(t *testing.T) {
	const sync = "DeclarativeManagement"
	c := newCrier(t)
	c.enrols("d", false)
	c.enrols("e", false)
	c.tokens("d", "anna", false)
	c.group("d")
	c.told("d", "", "")
	c.put("about", 1)
	c.told("d", "", "") // of nobody
	c.give("about", false)
	c.told("d", "", sync)
	c.told("d", "", "") // once
	c.told("d", "anna", "")
	c.told("e", "", "")
	c.restart()
	c.told("d", "", "") // not again after a restart
	c.put("about", 1)
	c.told("d", "", "") // the same content
	c.put("about", 2)
	c.told("d", "", sync)

	c.put("yours", 1)
	c.give("yours", true)
	c.told("d", "", "")
	c.told("d", "anna", sync) // a user's set is another one

	_, err := c.groups.Add(t.Context(), ada, "labs", []string{"e"})
	c.check(err)
	c.told("e", "", sync)
	_, err = c.groups.Remove(t.Context(), ada, "labs", []string{"e"})
	c.check(err)
	c.told("e", "", sync) // that it is to have nothing
	c.told("e", "", "")

	_, err = c.declared.Withdraw(t.Context(), ada, "about", "")
	c.check(err)
	c.told("d", "", sync)
}

// Several changes before a device calls are one command; one that was taken back or ran out is sent anew.
func TestOnlyTheLastAnnouncementWaits(t *testing.T) {
	c := newCrier(t)
	c.enrols("d", false)
	c.group("d")
	c.put("about", 1)
	c.give("about", false)
	c.announce()
	c.put("about", 2)
	c.announce()
	d, _, err := c.devices.Load(t.Context(), "d")
	c.check(err)
	own, _ := d.Channel("")
	if len(own.Queue) != 1 {
		t.Errorf("%d commands wait, want 1", len(own.Queue))
	}
	c.does("d", func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.Cancel(own.Queue[0].UUID, "a slip")
	})
	c.told("d", "", "DeclarativeManagement")
	c.told("d", "", "")
}

// A device that tells what it can take is told again, for its set is another one then.
func TestWhoTellsWhatItTakesIsToldAgain(t *testing.T) {
	c := newCrier(t)
	c.enrols("d", false)
	c.group("d")
	_, err := c.declared.Put(t.Context(), ada, "pass", "com.apple.configuration.passcode.settings", json.RawMessage(`{"MinimumLength":6}`), false)
	c.check(err)
	c.give("pass", false)
	c.told("d", "", "DeclarativeManagement") // to tell its status
	c.does("d", func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.ReportDeclarationStatus("", []byte(`{"StatusItems":{"management":{"client-capabilities":{"supported-payloads":{"declarations":{"configurations":["com.apple.configuration.passcode.settings"],"activations":["com.apple.activation.simple"]}}}}}}`))
	})
	c.told("d", "", "DeclarativeManagement")
	c.told("d", "", "")
	set, _, err := c.declared.Set(t.Context(), "d", "")
	c.check(err)
	if text := string(set.Manifest()); !strings.Contains(text, `"Identifier":"pass"`) {
		t.Errorf("its set is %s", text)
	}
}
