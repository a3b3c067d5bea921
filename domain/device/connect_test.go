package device_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// says returns a connect on the device channel at noon.
func says(status, uuid string) func(device.Device) (events, error) {
	return saysOn("", status, uuid, noon)
}

func saysOn(channel device.ChannelID, status, uuid string, at time.Time) func(device.Device) (events, error) {
	return func(d device.Device) (events, error) {
		return d.Connect(device.Report{Channel: channel, Status: status, UUID: uuid}, at)
	}
}

func TestConnect(t *testing.T) {
	result, chain := json.RawMessage(`{"a":1}`), json.RawMessage(`[{"ErrorCode":1}]`)
	full := func(status string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) {
			return d.Connect(device.Report{Status: status, UUID: "1", Result: result, ErrorChain: chain, Secrets: map[string]json.RawMessage{"k": result}}, noon)
		}
	}
	out := then(enrolled, events{waiting("1"), first("1", 1)})
	two := then(enrolled, events{waiting("1"), waiting("2"), first("1", 1)})
	check(t, []decision{
		{"a stranger", nil, says("Idle", ""), nil, domain.Unmanaged},
		{"without a status", enrolled, says("", ""), nil, domain.Invalid},
		{"idle, and something waits", then(enrolled, one(waiting("1"))), says("Idle", ""), one(first("1", 1)), 0},
		{"idle, with an id that means nothing", then(enrolled, one(waiting("1"))), says("Idle", "1"), one(first("1", 1)), 0},
		{"done: the next", two, says("Acknowledged", "1"), events{acknowledged("1"), delivered("2", 1)}, 0},
		{"done: nothing else waits", out, says("Acknowledged", "1"), one(acknowledged("1")), 0},
		{"done, with all that it says", out, full("Acknowledged"), one(device.CommandAcknowledged{
			UUID: "1", RequestType: "ProfileList", Result: result, Secrets: map[string]json.RawMessage{"k": result}}), 0},
		{"failed: over, and the next", two, says("Error", "1"), events{device.CommandFailed{UUID: "1", RequestType: "ProfileList"}, delivered("2", 1)}, 0},
		{"failed, with all that it says", out, full("Error"), one(device.CommandFailed{UUID: "1", RequestType: "ProfileList", ErrorChain: chain, Result: result, Secrets: map[string]json.RawMessage{"k": result}}), 0},
		{"not understood: over, and the next", two, says("CommandFormatError", "1"), events{device.CommandFormatRejected{UUID: "1", RequestType: "ProfileList"}, delivered("2", 1)}, 0},
		{"not understood, with all that it says", out, full("CommandFormatError"), one(device.CommandFormatRejected{UUID: "1", RequestType: "ProfileList", ErrorChain: chain, Result: result, Secrets: map[string]json.RawMessage{"k": result}}), 0},
		{"the answer was lost: handed out again", out, says("Idle", ""), one(first("1", 2)), 0},
		{"an unknown answer comes: it is kept, and what is out is handed out again", out, says("Acknowledged", "9"), events{unmatched("9", "Acknowledged", "unknown"), delivered("1", 2)}, 0},
		{"an answer without an id", out, says("Acknowledged", ""), events{unmatched("", "Acknowledged", "unknown"), delivered("1", 2)}, 0},
		{"the same answer twice disturbs nothing", then(two, events{acknowledged("1"), delivered("2", 1)}), says("Acknowledged", "1"),
			events{unmatched("1", "Acknowledged", "settled"), delivered("2", 2)}, 0},
		{"another answer after the first", then(out, one(acknowledged("1"))), says("Error", "1"), one(unmatched("1", "Error", "settled")), 0},
		{"an answer to what was taken back", then(out, one(cancelled("", "1", "x"))), says("Acknowledged", "1"), one(unmatched("1", "Acknowledged", "settled")), 0},
		{"an answer to what was never handed out", then(enrolled, one(waiting("1"))), says("Acknowledged", "1"),
			events{unmatched("1", "Acknowledged", "undelivered"), delivered("1", 1)}, 0},
		{"a status that nobody knows is kept, and the command waits for the next session", out, says("Perhaps", "1"), one(unmatched("1", "Perhaps", "status")), 0},
		{"a status that nobody knows, of what was never handed out", then(enrolled, one(waiting("1"))), says("Perhaps", "1"),
			events{unmatched("1", "Perhaps", "undelivered"), delivered("1", 1)}, 0},
		{"after that status, in the next session", then(out, one(unmatched("1", "Perhaps", "status"))), says("Idle", ""), one(first("1", 2)), 0},
		{"a stray word in another language", enrolled, says("Bereit", ""), one(unmatched("", "Bereit", "unknown")), 0},
	})
}

func TestNotNow(t *testing.T) {
	two := then(enrolled, events{waiting("1"), waiting("2"), first("1", 1)})
	put := then(two, events{deferred("1", 1), delivered("2", 1)})
	check(t, []decision{
		{"the others first", two, says("NotNow", "1"), events{deferred("1", 1), delivered("2", 1)}, 0},
		{"not again in this session", put, says("Acknowledged", "2"), one(acknowledged("2")), 0},
		{"the session ends when all say so", put, says("NotNow", "2"), one(deferred("2", 1)), 0},
		{"said twice, counted once", put, says("NotNow", "1"), one(delivered("2", 2)), 0},
		{"in the next session it is sent again", then(put, one(acknowledged("2"))), says("Idle", ""), one(first("1", 2)), 0},
		{"in the next session what never was put off goes first", then(put, one(waiting("3"))), says("Idle", ""), one(first("2", 2)), 0},
		{"a new order goes before it, in the next session too", then(put, events{acknowledged("2"), waiting("3")}), says("Idle", ""), one(first("3", 1)), 0},
		{"but it goes after that, in that session", then(put, events{acknowledged("2"), waiting("3"), first("3", 1)}), says("Acknowledged", "3"),
			events{acknowledged("3"), delivered("1", 2)}, 0},
		{"put off a second time", then(put, events{acknowledged("2"), first("1", 2)}), says("NotNow", "1"), one(deferred("1", 2)), 0},
		{"higher priority is no reason to ask again", then(two, one(queued("", device.Order{UUID: "h", RequestType: "ProfileList", Body: []byte("h"), Priority: 9})),
			events{delivered("h", 1), deferred("h", 1)}), says("NotNow", "1"), events{deferred("1", 1), delivered("2", 1)}, 0},
		{"a user's NotNow is the user's", then(both, events{queued("u", order("1")), waiting("2")}, one(device.CommandDelivered{Channel: "u", UUID: "1", RequestType: "ProfileList", Attempt: 1})),
			saysOn("u", "NotNow", "1", noon), one(device.CommandDeferred{Channel: "u", UUID: "1", RequestType: "ProfileList", Deferrals: 1}), 0},
		{"done after all", then(put, one(acknowledged("2"))), says("Acknowledged", "1"), one(acknowledged("1")), 0},
	})
}

func TestChannelsAreApart(t *testing.T) {
	hers := device.CommandDelivered{Channel: "u", UUID: "1", RequestType: "ProfileList", Attempt: 1, NewSession: true}
	given := then(both, events{queued("u", order("1")), hers})
	check(t, []decision{
		{"a user's command is not the device's", given, saysOn("", "Idle", "", morning), nil, 0},
		{"nor another user's", given, saysOn("v", "Idle", "", morning), nil, 0},
		{"the device answers for a user: kept, and nothing changes", given, says("Acknowledged", "1"), one(unmatched("1", "Acknowledged", "foreign")), 0},
		{"a device's NotNow does not put off a user's command", given, says("NotNow", "1"), one(unmatched("1", "NotNow", "foreign")), 0},
		{"the user answers", given, saysOn("u", "Acknowledged", "1", noon), one(device.CommandAcknowledged{Channel: "u", UUID: "1", RequestType: "ProfileList"}), 0},
		{"a user that was not seen since the device enrolled again", then(both, events{again(2, "A"), token}), saysOn("u", "Idle", "", morning), nil, 0},
	})
	if c, _ := fold(append(given, unmatched("1", "Acknowledged", "foreign")), noon).Channel("u"); len(c.Queue) != 1 {
		t.Error("the user's command is gone")
	}
}

func TestWhoGetsNoCommands(t *testing.T) {
	check(t, []decision{
		{"a device that only authenticated", then(enrolled, events{waiting("1"), again(2, "A")}), saysOn("", "Idle", "", morning), nil, 0},
		{"a device that left", then(enrolled, events{cancelled("", "1", "x"), left}), says("Idle", ""), nil, 0},
		{"a late answer of a device that left", then(enrolled, events{waiting("1"), first("1", 1), cancelled("", "1", "x"), left}), says("Acknowledged", "1"),
			one(unmatched("1", "Acknowledged", "settled")), 0},
		{"a device that was given up is back, and gets its command", then(enrolled, events{waiting("1"), device.PresumedUnmanaged{Reason: "silent"}}), says("Idle", ""), one(first("1", 1)), 0},
		{"a device that was given up is back, though only to say so", then(enrolled, one(device.PresumedUnmanaged{Reason: "silent"})), saysOn("", "Idle", "", morning),
			one(device.Seen{Polls: 1}), 0},
	})
	back := fold(then(enrolled, events{device.PresumedUnmanaged{Reason: "silent"}, device.Seen{Polls: 1}}), morning)
	if back.Status != device.StatusEnrolled {
		t.Errorf("the device that is back is %s", back.Status)
	}
}

func TestQuietPolls(t *testing.T) {
	polls := func(n int, after time.Duration) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) {
			return d.Connect(device.Report{Status: "Idle", Polls: n}, morning.Add(after))
		}
	}
	gone := device.PresumedUnmanaged{Reason: "silent"}
	soon := device.Order{UUID: "1", RequestType: "ProfileList", Body: []byte("1"), ExpiresAt: morning}
	expired := device.CommandExpired{UUID: "1", RequestType: "ProfileList"}
	check(t, []decision{
		{"soon after the last", enrolled, polls(3, 15*time.Minute-1), nil, 0},
		{"a quarter of an hour after the last", enrolled, polls(3, 15*time.Minute), one(device.Seen{Polls: 3}), 0},
		{"nobody counted", enrolled, polls(0, time.Hour), one(device.Seen{Polls: 1}), 0},
		{"of a device that left", then(enrolled, one(left)), polls(3, time.Hour), nil, 0},
		{"at which a command ends unfetched", then(enrolled, one(queued("", soon))), polls(2, time.Hour), events{expired, device.Seen{Polls: 2}}, 0},
		{"at which a command ends unfetched, soon after the last", then(enrolled, one(queued("", soon))), polls(2, time.Minute), one(expired), 0},
		{"of a device that was given up, at which a command ends", then(enrolled, events{queued("", soon), gone}), polls(1, time.Minute), events{expired, device.Seen{Polls: 1}}, 0},
	})
}

func TestWhenCommandsAreDue(t *testing.T) {
	low, high := order("low"), order("high")
	low.Priority, high.Priority = -1, 5
	later, brief := order("later"), order("brief")
	later.NotBefore, brief.ExpiresAt = noon.Add(1), noon
	expired := device.CommandExpired{UUID: "brief", RequestType: "ProfileList"}
	out := then(enrolled, events{queued("", brief), first("brief", 1)})
	check(t, []decision{
		{"in the order in which they came", then(enrolled, events{waiting("1"), waiting("2")}), says("Idle", ""), one(first("1", 1)), 0},
		{"higher priority first", then(enrolled, events{waiting("1"), queued("", low), queued("", high), waiting("2")}), says("Idle", ""), one(first("high", 1)), 0},
		{"lower priority last", then(enrolled, events{queued("", low), waiting("1")}), says("Idle", ""), one(first("1", 1)), 0},
		{"not before its time", then(enrolled, one(queued("", later))), saysOn("", "Idle", "", noon.Add(-4*time.Hour)), nil, 0},
		{"not before its time, but others", then(enrolled, events{queued("", later), waiting("1")}), says("Idle", ""), one(first("1", 1)), 0},
		{"at its time", then(enrolled, one(queued("", later))), saysOn("", "Idle", "", noon.Add(1)), one(first("later", 1)), 0},
		{"until its end", then(enrolled, one(queued("", brief))), saysOn("", "Idle", "", noon.Add(-1)), one(first("brief", 1)), 0},
		{"not after its end", then(enrolled, events{queued("", brief), waiting("1")}), says("Idle", ""), events{expired, first("1", 1)}, 0},
		{"what is out may still be answered after its end", out, says("Acknowledged", "brief"), one(acknowledged("brief")), 0},
		{"and is handed out again", out, says("Idle", ""), one(first("brief", 2)), 0},
		{"what was put off ends", then(out, one(deferred("brief", 1))), says("Idle", ""), events{expired, device.Seen{Polls: 1}}, 0},
		{"what was lost once and then put off ends too", then(out, events{first("brief", 2), deferred("brief", 1)}), says("Idle", ""), events{expired, device.Seen{Polls: 1}}, 0},
	})
}
