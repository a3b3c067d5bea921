package mdm

import (
	"errors"
	"net/http"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// errLeaving says that the device is to leave, whatever it says.
var errLeaving = errors.New("the device is to leave management")

// errIsolated says that the device is in quarantine: it gets neither tokens nor declarations.
var errIsolated = errors.New("the device is in quarantine")

// isolation is when a device in quarantine is asked to come back for what it did not get.
const isolation = time.Hour

// farewell tells a device that it is not managed here: it ends its enrolment by itself. Source: Apple, error code
// com.apple.unrecognized.device; iOS and tvOS 17, macOS 14, visionOS 1.1, watchOS 10.
var farewell = answer{
	status: http.StatusForbidden, contentType: jsonType,
	body: []byte(`{"code":"com.apple.unrecognized.device","description":"the device was told to leave management"}` + "\n"),
}

// withholds refuses what a device in quarantine does not get.
func withholds(dev device.Device) error {
	if dev.Isolated != "" {
		return errIsolated
	}
	return nil
}
