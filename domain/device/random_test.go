package device_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A life is a device that lives through anything, beside a plain record of what must be true of its commands.
type life struct {
	device   device.Device
	now      time.Time
	commands map[string]*fate
	issued   int
	heard    []device.Report // what was said before, to be said again
	kept     []keptDevice
	holds    map[device.ChannelID]bool
}

// held reports whether a hold keeps the command from being delivered.
func (l *life) held(f *fate) bool {
	return f.held || (l.holds[""] || l.holds[f.channel]) && !f.PassesHold
}

// A fate is what must be true of one command.
type fate struct {
	device.Order
	channel  device.ChannelID
	number   int // in the order of ordering
	ended    bool
	out      bool
	deferred bool // ever
	shelved  bool // put off by a status that nobody knows, in this session
	held     bool
}

// A keptDevice is an earlier Device and what it looked like then.
type keptDevice struct {
	device device.Device
	looked string
}

func look(d device.Device) string {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// happen lets events happen, and checks each against the record.
func (l *life) happen(t *rapid.T, list events, err error) {
	if _, refused := domain.Refused(err); err != nil && !refused {
		t.Fatal(err)
	}
	l.generations(t, list)
	for _, e := range list {
		l.record(t, e)
		l.device = l.device.Evolve(e, l.now)
	}
	if rapid.IntRange(0, 9).Draw(t, "keep") == 0 {
		l.keep(l.device)
		l.keep(l.device.Evolve(waiting("what might have been"), l.now))
		l.device.Evolve(waiting("what else might have been"), l.now)
	}
}

// generations checks that a renewal ends nothing, and any other Authenticate all that waits.
func (l *life) generations(t *rapid.T, list events) {
	if len(list) == 0 {
		return
	}
	var authenticated *device.Authenticated
	ends := 0
	for _, e := range list {
		switch e := e.(type) {
		case device.Authenticated:
			authenticated = &e
		case device.CommandCancelled:
			ends++
		}
	}
	if authenticated == nil {
		return
	}
	waits := 0
	for _, f := range l.commands {
		if !f.ended {
			waits++
		}
	}
	before := l.device.Generation
	switch {
	case authenticated.Renewal && (ends > 0 || authenticated.Generation != before):
		t.Fatalf("a renewal ended %d commands, and generation %d became %d", ends, before, authenticated.Generation)
	case !authenticated.Renewal && (ends != waits || authenticated.Generation != before+1):
		t.Fatalf("of %d commands %d ended with their enrolment, and generation %d became %d", waits, ends, before, authenticated.Generation)
	}
}

func (l *life) keep(d device.Device) { l.kept = append(l.kept, keptDevice{d, look(d)}) }

func (l *life) record(t *rapid.T, e domain.Event) {
	switch e := e.(type) {
	case device.CommandQueued:
		o := device.Order{UUID: e.UUID, Priority: e.Priority, NotBefore: e.NotBefore, ExpiresAt: e.ExpiresAt, SupersedeKey: e.SupersedeKey, PassesHold: e.PassesHold}
		l.commands[e.UUID] = &fate{Order: o, channel: e.Channel, number: l.issued}
	case device.CommandDelivered:
		l.delivered(t, e)
	case device.QueueHeld:
		l.holds[e.Channel] = true
	case device.QueueReleased:
		delete(l.holds, e.Channel)
	case device.CommandHeld:
		l.waiting(t, e.UUID, e.Channel).held = true
	case device.CommandReleased:
		l.waiting(t, e.UUID, e.Channel).held = false
	case device.CommandDeferred:
		f := l.waiting(t, e.UUID, e.Channel)
		f.deferred, f.out = true, false
	case device.ResultUnmatched:
		if e.Because == "status" {
			l.waiting(t, e.UUID, e.Channel).shelved = true
		}
	case device.CommandAcknowledged:
		l.end(t, e.UUID, e.Channel, true)
	case device.CommandFailed:
		l.end(t, e.UUID, e.Channel, true)
	case device.CommandFormatRejected:
		l.end(t, e.UUID, e.Channel, true)
	case device.CommandCancelled:
		l.end(t, e.UUID, e.Channel, false)
	case device.CommandSuperseded:
		if l.end(t, e.UUID, e.Channel, false).out {
			t.Fatalf("%s was superseded while the device was at it", e.UUID)
		}
		if (e.By == "") == (e.Reason == "") || e.By != "" && l.commands[e.By] == nil {
			t.Fatalf("%s was superseded by %q because %q", e.UUID, e.By, e.Reason)
		}
	case device.CommandExpired:
		if f := l.end(t, e.UUID, e.Channel, false); f.out || f.ExpiresAt.IsZero() || l.now.Before(f.ExpiresAt) {
			t.Fatalf("%s expired at %v: %+v", e.UUID, l.now, f)
		}
	}
}

// waiting returns the fate of a command that must be waiting in the channel.
func (l *life) waiting(t *rapid.T, uuid string, channel device.ChannelID) *fate {
	f := l.commands[uuid]
	if f == nil || f.ended || f.channel != channel {
		t.Fatalf("something happened on channel %q to %q, whose fate is %+v", channel, uuid, f)
	}
	return f
}

// end marks a command as ended, which it may do once; answered if the device had a say in it.
func (l *life) end(t *rapid.T, uuid string, channel device.ChannelID, answered bool) *fate {
	f := l.waiting(t, uuid, channel)
	f.ended = true
	if item, _, _ := l.device.Item(uuid); answered && item.Deliveries == 0 {
		t.Fatalf("%s was answered before it was handed out", uuid)
	}
	return f
}

// delivered checks that the command may be delivered now, and that no other should have been.
func (l *life) delivered(t *rapid.T, e device.CommandDelivered) {
	f := l.waiting(t, e.UUID, e.Channel)
	c, _ := l.device.Channel(e.Channel)
	switch {
	case !c.Enrolled || l.device.Status != device.StatusEnrolled && l.device.Status != device.StatusPresumedUnmanaged:
		t.Fatalf("%s was delivered to a device that is %s, on a channel that is %+v", e.UUID, l.device.Status, c)
	case l.held(f):
		t.Fatalf("%s was delivered though it is held", e.UUID)
	case l.now.Before(f.NotBefore):
		t.Fatalf("%s was delivered before its time", e.UUID)
	case !f.out && !f.ExpiresAt.IsZero() && !l.now.Before(f.ExpiresAt):
		t.Fatalf("%s was delivered after its time", e.UUID)
	}
	for _, other := range l.commands {
		if e.NewSession && other.channel == e.Channel {
			other.shelved = false
		}
		first := other.Priority > f.Priority || other.Priority == f.Priority && other.number < f.number
		if !other.ended && other.channel == e.Channel && !other.deferred && !other.shelved && !l.held(other) && !l.now.Before(other.NotBefore) && (first || f.deferred) && other != f {
			t.Fatalf("%s was delivered, and %s should have been", e.UUID, other.UUID)
		}
	}
	f.out = true
}

var statuses = []string{
	device.Acknowledged, device.Acknowledged, device.Acknowledged, device.Error, device.CommandFormatError, device.NotNow, device.NotNow, "Perhaps",
}

// connect lets the channel say something, and returns what it is handed.
func (l *life) connect(t *rapid.T, r device.Report) (handed string) {
	list, err := l.device.Connect(r, l.now)
	if err != nil && l.device.Status != "" {
		t.Fatalf("a device was refused: %v", err)
	}
	l.happen(t, list, err)
	l.heard = append(l.heard, r)
	if n := len(list); n > 0 {
		if e, ok := list[n-1].(device.CommandDelivered); ok {
			return e.UUID
		}
	}
	return ""
}

// session lets the channel connect until nothing is handed out, and answer as choose says.
func (l *life) session(t *rapid.T, channel device.ChannelID, choose func() string) {
	c, _ := l.device.Channel(channel)
	most := len(c.Queue)
	r := device.Report{Channel: channel, Status: device.Idle}
	for {
		if rapid.IntRange(0, 5).Draw(t, "the answer is lost") == 0 {
			l.connect(t, r)
		}
		handed := l.connect(t, r)
		if handed == "" {
			return
		}
		if most--; most < 0 {
			t.Fatal("the session does not end")
		}
		r = device.Report{Channel: channel, Status: choose(), UUID: handed, Result: result(t)}
	}
}

// result is an answer that may change what can work on the device.
func result(t *rapid.T) json.RawMessage {
	return json.RawMessage(rapid.SampledFrom([]string{
		"", `{"QueryResponses":{"IsSupervised":false}}`, `{"QueryResponses":{"IsSupervised":true,"OSVersion":"27.0"}}`,
		`{"QueryResponses":{"IsMultiUser":false}}`, `{"QueryResponses":{"IsMultiUser":true}}`, `{"ManagedApplicationList":{}}`, `{"ProfileList":[{"PayloadIdentifier":"p","IsManaged":false}]}`,
	}).Draw(t, "result"))
}

func (l *life) enroll(t *rapid.T) {
	m := hello(rapid.SampledFrom([]string{"A", "B"}).Draw(t, "certificate"))
	m.Identity.SerialNumber = rapid.SampledFrom([]string{"", "S", "S", "T"}).Draw(t, "serial number")
	m.ProductName = rapid.SampledFrom([]string{"iPad13,18", "iPad13,18", "Mac14,2"}).Draw(t, "product")
	m.Renewal = rapid.SampledFrom([]string{"", "", "command 1", "command 2"}).Draw(t, "named by its URL")
	list, err := l.device.Authenticate(m, l.now)
	l.happen(t, list, err)
	if rapid.IntRange(0, 4).Draw(t, "the profile fails") > 0 {
		l.token(t, "")
	}
}

func (l *life) token(t *rapid.T, channel device.ChannelID) {
	m := device.TokenUpdate{Channel: channel, Token: []byte(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "token")), PushMagic: "m", Certificate: hello("B").Certificate}
	list, err := l.device.UpdateToken(m, l.now)
	l.happen(t, list, err)
}

func (l *life) order(t *rapid.T) {
	o := l.draw(t)
	_, known := l.device.Keyed(o.Key)
	list, err := l.device.Order(drawChannel(t), o, false, l.now)
	if known && (len(list) > 0 || err != nil) {
		t.Fatalf("an order that was given before was answered %v, %v", list, err)
	}
	l.happen(t, list, err)
}

// draw makes an order: of one device alone, or one to many that is passed on to it.
func (l *life) draw(t *rapid.T) device.Order {
	l.issued++
	o := order(fmt.Sprint("command ", l.issued))
	if rapid.IntRange(0, 3).Draw(t, "one of many") == 0 {
		o.Body, o.Bulk = nil, "order 1"
	}
	o.Key = rapid.SampledFrom([]string{"", "", "key 1", "key 2"}).Draw(t, "idempotency key")
	o.RequestType = rapid.SampledFrom([]string{
		"ProfileList", "ProfileList", "DeviceInformation", "RestartDevice", "OSUpdateStatus", "ManagedApplicationList", "RemoveApplication", "InstallProfile",
	}).Draw(t, "request type")
	o.Parameters = json.RawMessage(rapid.SampledFrom([]string{"", `{"Identifier":"p"}`}).Draw(t, "parameters"))
	o.Renews = o.RequestType == "InstallProfile"
	o.Raw = rapid.IntRange(0, 4).Draw(t, "raw") == 0
	o.Priority = rapid.IntRange(0, 1).Draw(t, "priority")
	o.SupersedeKey = rapid.SampledFrom([]string{"", "", "wifi"}).Draw(t, "supersede key")
	o.PassesHold = rapid.IntRange(0, 3).Draw(t, "passes a hold") == 0
	if rapid.IntRange(0, 3).Draw(t, "later") == 0 {
		o.NotBefore = l.now.Add(time.Hour)
	}
	if rapid.IntRange(0, 3).Draw(t, "expires") == 0 {
		o.ExpiresAt = l.now.Add(2 * time.Hour)
	}
	return o
}

// worker lets a worker order something: it announces declarations, or brings what is wanted.
func (l *life) worker(t *rapid.T) {
	o, channel := l.draw(t), drawChannel(t)
	o.Key, o.Raw, o.NotBefore, o.ExpiresAt = "", false, time.Time{}, time.Time{}
	var list events
	var err error
	if rapid.Bool().Draw(t, "announces") {
		o.RequestType, o.Parameters, o.Renews = device.DeclarativeManagement, nil, false
		list, err = l.device.AnnounceDeclarations(channel, rapid.SampledFrom([]string{"t", "u"}).Draw(t, "set"), o, l.now)
	} else {
		o.SupersedeKey = "wanted/app"
		list, err = l.device.Want(device.WantedOrdered{Channel: channel, Thing: "app", Attempt: 1}, []device.Order{o}, l.now)
	}
	l.happen(t, list, err)
}

func drawChannel(t *rapid.T) device.ChannelID {
	return rapid.SampledFrom([]device.ChannelID{"", "", "u", "v"}).Draw(t, "channel")
}

// actions is what can happen in a life.
func (l *life) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"enrol": func(t *rapid.T) {
			if rapid.IntRange(0, 2).Draw(t, "really") == 0 || l.device.Status != device.StatusEnrolled {
				l.enroll(t)
			}
		},
		"user":  func(t *rapid.T) { l.token(t, drawChannel(t)) },
		"order": l.order, "another": l.order, "a third": l.order,
		"session": func(t *rapid.T) {
			l.session(t, drawChannel(t), func() string { return rapid.SampledFrom(statuses).Draw(t, "status") })
		},
		"say something again": func(t *rapid.T) {
			if len(l.heard) > 0 {
				l.connect(t, rapid.SampledFrom(l.heard).Draw(t, "what"))
			}
		},
		"answer anything": func(t *rapid.T) {
			uuid := fmt.Sprint("command ", rapid.IntRange(0, l.issued+1).Draw(t, "which"))
			l.connect(t, device.Report{Channel: drawChannel(t), Status: rapid.SampledFrom(statuses).Draw(t, "status"), UUID: uuid})
		},
		"log in": func(t *rapid.T) {
			channel := rapid.SampledFrom([]device.ChannelID{"u", "v"}).Draw(t, "user")
			list, err := l.device.ChallengeUser(channel, device.User{}, "n")
			if rapid.Bool().Draw(t, "declined") {
				list, err = l.device.AuthenticateUser(channel, device.User{})
			}
			l.happen(t, list, err)
		},
		"cancel": func(t *rapid.T) {
			list, err := l.device.Cancel(fmt.Sprint("command ", rapid.IntRange(0, l.issued).Draw(t, "which")), "no")
			l.happen(t, list, err)
		},
		"a worker": l.worker,
		"clear": func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
				list, err := l.device.ClearQueue("no")
				l.happen(t, list, err)
			}
		},
		"hold":    func(t *rapid.T) { l.hold(t) },
		"release": func(t *rapid.T) { l.release(t) },
		"leave": func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
				list, err := l.device.CheckOut()
				l.happen(t, list, err)
			}
		},
		"be given up": func(t *rapid.T) {
			if l.device.Status == device.StatusEnrolled {
				l.happen(t, one(device.PresumedUnmanaged{Reason: "silent"}), nil)
			}
		},
		"time goes by": func(t *rapid.T) {
			l.now = l.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
		},
		"": l.check,
	}
}

// hold lets somebody hold a queue or a command.
func (l *life) hold(t *rapid.T) {
	list, err := l.device.HoldQueue(drawChannel(t), "why not")
	if rapid.Bool().Draw(t, "one command") {
		list, err = l.device.HoldCommand(fmt.Sprint("command ", rapid.IntRange(0, l.issued).Draw(t, "which")), "why not")
	}
	l.happen(t, list, err)
}

func (l *life) release(t *rapid.T) {
	list, err := l.device.ReleaseQueue(drawChannel(t), "")
	if rapid.Bool().Draw(t, "one command") {
		list, err = l.device.ReleaseCommand(fmt.Sprint("command ", rapid.IntRange(0, l.issued).Draw(t, "which")), "")
	}
	l.happen(t, list, err)
}

// check compares the queues with the record: what has not ended waits, in its channel, in order, once.
func (l *life) check(t *rapid.T) {
	waits := 0
	for _, c := range l.device.Channels {
		last := -1
		for _, item := range c.Queue {
			f := l.waiting(t, item.UUID, c.ID)
			if f.number <= last || item.Out != f.out || item.Held != f.held || (item.Deferrals > 0) != f.deferred {
				t.Fatalf("the queue holds %+v, whose fate is %+v", item, f)
			}
			last = f.number
			waits++
		}
	}
	for _, f := range l.commands {
		if !f.ended {
			waits--
		}
	}
	if waits != 0 {
		t.Fatalf("%d commands are lost", -waits)
	}
	for _, k := range l.kept {
		if now := look(k.device); now != k.looked {
			t.Fatalf("an earlier device has changed from\n%s to\n%s", k.looked, now)
		}
	}
}

func TestALifeLosesNoCommand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{now: morning, commands: map[string]*fate{}, holds: map[device.ChannelID]bool{}}
		l.enroll(t)
		t.Repeat(l.actions())
		l.comeToRest(t)
	})
}

// comeToRest lets every channel that still can speak do all that it was told.
func (l *life) comeToRest(t *rapid.T) {
	l.now = l.now.Add(24 * time.Hour)
	for channel := range l.holds {
		list, err := l.device.ReleaseQueue(channel, "")
		l.happen(t, list, err)
	}
	for uuid, f := range l.commands {
		if !f.ended && f.held {
			list, err := l.device.ReleaseCommand(uuid, "")
			l.happen(t, list, err)
		}
	}
	for _, c := range l.device.Channels {
		l.session(t, c.ID, func() string { return device.Acknowledged })
		after, _ := l.device.Channel(c.ID)
		if c.Enrolled && l.device.Status == device.StatusEnrolled && len(after.Queue) > 0 {
			t.Fatalf("%d commands were never delivered", len(after.Queue))
		}
	}
	l.check(t)
}

func TestARepeatedConnectDecidesNothingNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{now: morning, commands: map[string]*fate{}, holds: map[device.ChannelID]bool{}}
		l.enroll(t)
		for range rapid.IntRange(1, 10).Draw(t, "orders") {
			l.order(t)
		}
		handed := l.connect(t, device.Report{Status: device.Idle})
		if handed == "" {
			return
		}
		r := device.Report{Status: rapid.SampledFrom(statuses).Draw(t, "status"), UUID: handed}
		next := l.connect(t, r)
		for range 3 {
			if again := l.connect(t, r); again != next {
				t.Fatalf("after %s of %s the device was handed %q, and then %q", r.Status, handed, next, again)
			}
		}
	})
}
