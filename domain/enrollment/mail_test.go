package enrollment_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
)

func TestAddressesOfMail(t *testing.T) {
	for _, good := range []string{"ada@example.com", "a.b+c@xn--bcher-kva.example", "o'neil@mail.example.co.uk", "x@localhost"} {
		if err := enrollment.CheckAddress(good); err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "ada", "@example.com", "ada@", "Ada <ada@example.com>", "ada@example.com, bob@example.com", "ada@example.com\r\nBcc: eve@example.com", "ada@example.com\n",
		"ada\x00@example.com", "ada bob@example.com", `"ada"@example.com`, "ada@exa@mple.com", "ada@[127.0.0.1]", "jürgen@example.com", "ada@bücher.example", ".ada@example.com",
		"a..b@example.com", "ada@example..com", "ada@-example.com", "ada@example.com.", "ada@example.com>", strings.Repeat("a", 250) + "@example.com",
	} {
		if err := enrollment.CheckAddress(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestWhatIsMailed(t *testing.T) {
	open := enrollment.Invitation{Terms: enrollment.Terms{Name: "Open", Uses: 1, Expires: noon.Add(time.Hour), Roads: []string{enrollment.OTA}}}
	closed, used := open, open
	closed.Closed, used.Used = true, 1
	if err := open.MayMail(noon); err != nil {
		t.Errorf("one that is open: %v", err)
	}
	for name, i := range map[string]enrollment.Invitation{"closed": closed, "used up": used, "none": {}} {
		if i.MayMail(noon) == nil {
			t.Errorf("one that is %s may be mailed", name)
		}
	}
	for road, useful := range map[string]bool{enrollment.Profile: true, enrollment.Account: true, enrollment.ADE: false} {
		one := open
		one.Roads = []string{road}
		if err := one.MayMail(noon); (err == nil) != useful {
			t.Errorf("one for %s alone: %v", road, err)
		}
	}
	if open.MayMail(noon.Add(time.Hour)) == nil {
		t.Error("one that has expired may be mailed")
	}
}
