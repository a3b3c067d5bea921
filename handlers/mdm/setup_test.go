package mdm

import (
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A Mac asks for its password policy before its first account exists (UserConfiguration): it answers NotNow to whatever it
// is handed, and goes on as soon as an answer has no body. After the login it is handed the same again.
func TestAMacInUserConfigurationGoesOn(t *testing.T) {
	for _, channel := range []string{"", "anna"} {
		h := build(t, nil)
		g := h.guest("U1")
		g.authenticate()
		g.token(nil)
		speaks := g
		if channel != "" {
			speaks = g.as(map[string]any{"UDID": "U1", "UserID": channel, "UserShortName": channel})
			speaks.token(nil)
		}
		id := device.ChannelID("")
		if channel != "" {
			id = device.ChannelID(g.door.Pseudonyms.Channel("U1", channel))
		}
		asks := map[string]any{"UserConfiguration": true}
		for i, uuid := range []string{"one", "two", "three"} {
			speaks.order(id, []string{"ProfileList", "DeviceInformation", "Settings"}[i], uuid)
		}
		handed := []string{}
		next := speaks.report("Idle", "", asks)
		for next != "" && len(handed) < 10 {
			handed = append(handed, next)
			next = speaks.report("NotNow", next, asks)
		}
		if len(handed) < 1 || len(handed) > 3 || next != "" {
			t.Errorf("%q: it was handed %v, and then %q: it would wait for ever", channel, handed, next)
		}
		h.wait(1)
		for again := speaks.report("Idle", "", nil); again != ""; again = speaks.report("Acknowledged", again, nil) {
			handed = append(handed, again)
		}
		for _, uuid := range []string{"one", "two", "three"} {
			if n := count(handed, uuid); n < 1 || n > 2 || handed[len(handed)-1] != "three" {
				t.Errorf("%q: it was handed %v", channel, handed)
			}
		}
	}
}

func count(list []string, what string) (n int) {
	for _, one := range list {
		if one == what {
			n++
		}
	}
	return n
}
