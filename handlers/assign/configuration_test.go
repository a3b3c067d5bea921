package assign

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
	"github.com/rollcall-mdm/rollcall/projections"
)

// body returns the property list of the command that waits for a device, as JSON.
func (y *yard) body(id, requestType string) string {
	y.Helper()
	d, _, err := y.devices.Load(y.Context(), id)
	y.check(err)
	c, _ := d.Channel("")
	for _, item := range c.Queue {
		if item.RequestType == requestType {
			text, err := plist.ToJSON(item.Body)
			y.check(err)
			return string(text)
		}
	}
	y.Fatalf("no %s waits", requestType)
	return ""
}

func TestAnotherConfigurationOfAnAppDoesNotBringTheAppAnew(t *testing.T) {
	y := newYard(t)
	y.enrols("d", false)
	y.group("d")
	put := func(version int, configuration map[string]any) string {
		keys := map[string]any{"Identifier": "com.app", "ManagementFlags": 1}
		if version > 0 {
			keys["Options"] = map[string]any{"PurchaseMethod": version - 1}
		}
		if configuration != nil {
			keys["Configuration"] = configuration
		}
		id, _, err := y.wants.PutApp(t.Context(), ada, "com.app", "InstallApplication", keys)
		y.check(err)
		return id
	}
	settings := func(status string) answers {
		return answers{"Settings": {Status: device.Acknowledged, Result: []byte(`{"Settings":[{"Status":"` + status + `","ErrorChain":[{"USEnglishDescription":"not now"}],"Identifier":"com.app"}]}`)}}
	}
	app := put(0, map[string]any{"server": "one"})
	y.assign(app, false)
	y.calls("d", "InstallApplication", nil)
	y.calls("d", "ManagedApplicationList", answers{"ManagedApplicationList": apps("Managed")})
	put(0, map[string]any{"server": "two"})
	y.settle()
	if got := y.body("d", "Settings"); !strings.Contains(got, `{"Configuration":{"server":"two"},"Identifier":"com.app","Item":"ApplicationConfiguration"}`) {
		t.Errorf("it is told %s", got)
	}
	y.calls("d", "Settings", settings("Acknowledged"))
	y.stands("d", app, projections.StandsVerified)
	y.restart()
	y.calls("d", "", nil)
	put(0, nil) // none at all
	y.settle()
	if got := y.body("d", "Settings"); strings.Contains(got, `"Configuration"`) || !strings.Contains(got, `"Identifier":"com.app"`) {
		t.Errorf("it is told %s", got)
	}
	y.calls("d", "Settings", settings("Acknowledged"))
	put(1, map[string]any{"server": "two"}) // something else too
	y.calls("d", "InstallApplication", nil)
	y.calls("d", "ManagedApplicationList", answers{"ManagedApplicationList": apps("Managed")})
	// A setting that is not taken, in an answer that is acknowledged, has failed; the app is then ordered anew.
	put(1, map[string]any{"server": "three"})
	y.calls("d", "Settings", settings("Error"))
	if s := y.stands("d", app, projections.StandsFailed); s.Because != "not now" {
		t.Errorf("it failed because %q", s.Because)
	}
	y.pass(6 * time.Minute)
	y.calls("d", "InstallApplication", nil)
	// On a device where the app is not, there is nothing to set.
	y.enrols("e", false)
	_, err := y.groups.Add(t.Context(), ada, "labs", []string{"e"})
	y.check(err)
	y.calls("e", "InstallApplication", nil)
}

func TestAMacsUserGoesOnByItself(t *testing.T) {
	y := newYard(t)
	y.does("m", func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: "UDID-m"}, Topic: "topic", OSVersion: "15.1", ProductName: "Mac14,2"}, at)
	})
	y.tokens("m", "", false)
	y.tokens("m", "anna", true)
	y.settle()
	if got := y.connects("m", "anna", nil); got != "" {
		t.Errorf("she was handed %q, which exists on a Shared iPad alone", got)
	}
}
