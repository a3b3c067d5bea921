package device

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// A Located says that a device in lost mode has told where it is. It is sealed with a key that is the device's for this
// day alone: when that is destroyed nobody can tell any more, neither from this log nor from a copy of it.
type Located struct {
	UUID     string          // of the command that asked
	Day      string          // by the server's clock, in UTC: 2026-11-26
	Location json.RawMessage `seal:"secret" json:",omitempty"` // latitude, longitude and so on, as Apple calls them
}

// LocationsForgotten says that the key of a day's locations was destroyed.
type LocationsForgotten struct{ Day string }

// The stored names.
func (Located) EventType() string            { return "device.located" }
func (LocationsForgotten) EventType() string { return "device.locations-forgotten" }

// LocationSubject names within a device whose keys seal a day's locations.
func LocationSubject(day string) string { return "location-" + day }

// SealSubject names the day's keys.
func (e Located) SealSubject() string { return LocationSubject(e.Day) }

// dayFormat is how a day is written.
const dayFormat = "2006-01-02"

// LocationEnds returns when a day's locations can be opened no more, if they are kept for so long.
func LocationEnds(day string, keep time.Duration) time.Time {
	start, err := time.Parse(dayFormat, day)
	if err != nil {
		return time.Time{}
	}
	return start.AddDate(0, 0, 1).Add(keep)
}

// locationKeys are what tells where a device is. Source: Apple, DeviceLocationResponse.
var locationKeys = []string{"Latitude", "Longitude", "HorizontalAccuracy", "VerticalAccuracy", "Altitude", "Speed", "Course", "Timestamp"}

// locates takes what tells where the device is out of its report, whatever it answers, and says so by an event of its own.
func (d Device) locates(r Report, at time.Time) ([]domain.Event, Report) {
	if r.Secrets["Latitude"] == nil && r.Secrets["Longitude"] == nil {
		return nil, r
	}
	where, rest := map[string]json.RawMessage{}, maps.Clone(r.Secrets)
	for _, key := range locationKeys {
		if value, told := rest[key]; told {
			where[key] = value
			delete(rest, key)
		}
	}
	r.Secrets = rest
	if len(rest) == 0 {
		r.Secrets = nil
	}
	text, err := json.Marshal(where)
	if err != nil {
		return nil, r
	}
	return []domain.Event{Located{r.UUID, d.locationDay(at), text}}, r
}

// locationDay returns the day whose key seals a location. None that is destroyed comes again, though the server's clock was
// set back.
func (d Device) locationDay(at time.Time) string {
	day := max(at.UTC().Format(dayFormat), d.LocationDay)
	if gone, err := time.Parse(dayFormat, d.LocationsGone); err == nil && day <= d.LocationsGone {
		return gone.AddDate(0, 0, 1).Format(dayFormat)
	}
	return day
}

// ForgetLocations decides what follows when the key of a day's locations is destroyed.
func (d Device) ForgetLocations(day string) ([]domain.Event, error) {
	if d.Status == "" || d.Erased || day <= d.LocationsGone {
		return nil, nil
	}
	return []domain.Event{LocationsForgotten{day}}, nil
}

// lost refuses what is for lost devices alone. Source: Apple, error code 12067.
func (d Device) lost(requestType string) error {
	own, _ := d.Channel("")
	if d.Facts.Lost == command.Yes || own.has("EnableLostMode") {
		return nil
	}
	if requestType == "ClearActivationLockBypassCode" && !d.BypassKnown {
		return domain.WithHint(domain.Refusef(domain.Conflict, "ClearActivationLockBypassCode: the device has not given its bypass code yet, and nobody would have it any more"),
			"activationLockBypassCode asks for it")
	}
	switch {
	case requestType == "DeviceLocation" || requestType == "PlayLostModeSound",
		requestType == "DisableLostMode" && d.Facts.Lost == command.No:
		return domain.WithHint(domain.Refusef(domain.Conflict, "%s: the device is not in lost mode, as far as is known", requestType),
			"enableLostMode first; deviceInformation with the query IsMDMLostModeEnabled asks the device")
	}
	return nil
}
