package enroll

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain/profile"
)

// serviceConfig tells Apple Configurator where devices come in. Source: Apple, "MDMServiceConfig".
func (d *Door) serviceConfig(c echo.Context) error {
	base := strings.TrimRight(d.Enrolments.URL, "/")
	config := map[string]string{"dep_anchor_certs_url": base + "/enroll/anchors"}
	if len(d.Built) > 0 {
		config["dep_enrollment_url"] = base + "/enroll/ade"
	}
	if len(d.Enrolments.Trusted) > 0 {
		config["trust_profile_url"] = base + "/enroll/trust" + suffix
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "application/json; charset=UTF8", text)
}

// anchors lists the roots that a device needs to believe this server, DER in base64.
func (d *Door) anchors(c echo.Context) error {
	list := []string{}
	for _, der := range d.Enrolments.Trusted {
		list = append(list, base64.StdEncoding.EncodeToString(der))
	}
	return c.JSON(http.StatusOK, list)
}

// trust gives a profile with the same roots.
func (d *Door) trust(c echo.Context) error {
	if len(d.Enrolments.Trusted) == 0 {
		return echo.ErrNotFound
	}
	head := d.Enrolments.Head()
	head.Identifier += ".trust"
	p, err := profile.OnlyRoots(head, d.Enrolments.Trusted)
	if err != nil {
		return err
	}
	return d.send(c, p, false)
}
