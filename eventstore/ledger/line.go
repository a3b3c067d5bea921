package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A line is an event in a bundle: one line of JSON, which gives back the canonical bytes exactly. Times are UTC to
// the microsecond; ciphertext is base64. An event has one line only: another spelling of it is refused.
type line struct {
	Position    eventstore.Position `json:"position"`
	Time        string              `json:"time"`
	Kind        words               `json:"kind"`
	Stream      words               `json:"stream"`
	Version     int64               `json:"version"`
	Type        words               `json:"type"`
	ID          string              `json:"id"`
	Actor       *lineActor          `json:"actor,omitempty"`
	Correlation string              `json:"correlation,omitempty"`
	Causation   string              `json:"causation,omitempty"`
	Data        json.RawMessage     `json:"data,omitempty"`
	DataBytes   []byte              `json:"data_base64,omitempty"` // in place of Data, if that is not compact JSON
	Personal    []byte              `json:"personal,omitempty"`
	Secret      []byte              `json:"secret,omitempty"`
	Evidence    []byte              `json:"evidence,omitempty"`
}

type lineActor struct {
	Kind words `json:"kind"`
	ID   words `json:"id"`
	Name words `json:"name"`
	Role words `json:"role"`
}

// words are a string in JSON; an object with base64 if they are not UTF-8.
type words string

type rawWords struct {
	Base64 []byte `json:"base64"`
}

func (w words) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(w)) {
		return encode(string(w))
	}
	return encode(rawWords{[]byte(w)})
}

func (w *words) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, (*string)(w))
	}
	var raw rawWords
	err := json.Unmarshal(text, &raw)
	*w = words(raw.Base64)
	return err
}

const lineTime = "2006-01-02T15:04:05.000000Z"

// Line returns the event as a line of a bundle, without its end. Times are of the years 0 to 9999.
func Line(env eventstore.Envelope) ([]byte, error) {
	l := line{
		Position: env.Position, Time: env.Time.UTC().Format(lineTime), Kind: words(env.Stream.Kind), Stream: words(env.Stream.ID),
		Version: env.Version, Type: words(env.Type), ID: env.ID.String(), Correlation: env.Correlation.String(), Causation: env.Causation.String(),
		Personal: env.Personal, Secret: env.Secret, Evidence: env.Evidence,
	}
	if a := env.Actor; a.Kind != "" || a.ID != "" || a.Name != "" || a.Role != "" {
		l.Actor = &lineActor{words(a.Kind), words(a.ID), words(a.Name), words(a.Role)}
	}
	if plain(env.Data) {
		l.Data = env.Data
	} else {
		l.DataBytes = env.Data
	}
	if y := env.Time.UTC().Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("the event at %d has a time of the year %d", env.Position, y)
	}
	return encode(l)
}

// plain reports whether data can stand in a line as it is.
func plain(data []byte) bool {
	var compact bytes.Buffer
	return json.Compact(&compact, data) == nil && bytes.Equal(compact.Bytes(), data) && utf8.Valid(data)
}

// encode writes JSON without escaping what HTML would need.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// ParseLine reads a line of a bundle.
func ParseLine(text []byte) (eventstore.Envelope, error) {
	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return eventstore.Envelope{}, errors.New("the line is no event")
	}
	env, err := l.envelope()
	if err != nil {
		return eventstore.Envelope{}, err
	}
	if again, err := Line(env); err != nil || !bytes.Equal(again, text) {
		return env, errors.New("the line is not written as the event is")
	}
	return env, nil
}

func (l line) envelope() (env eventstore.Envelope, err error) {
	env = eventstore.Envelope{
		Stream: eventstore.Stream{Kind: string(l.Kind), ID: string(l.Stream)}, Version: l.Version, Position: l.Position,
		Type: string(l.Type), Data: l.Data, Personal: l.Personal, Secret: l.Secret, Evidence: l.Evidence,
	}
	if len(l.DataBytes) > 0 {
		env.Data = l.DataBytes
	}
	if a := l.Actor; a != nil {
		env.Actor = eventstore.Actor{Kind: eventstore.ActorKind(a.Kind), ID: string(a.ID), Name: string(a.Name), Role: string(a.Role)}
	}
	if env.Time, err = time.Parse(lineTime, l.Time); err != nil {
		return env, errors.New("the event's time is broken")
	}
	var errs [3]error
	env.ID, errs[0] = eventstore.ParseUUID(l.ID)
	env.Correlation, errs[1] = eventstore.ParseUUID(l.Correlation)
	env.Causation, errs[2] = eventstore.ParseUUID(l.Causation)
	return env, errors.Join(errs[:]...)
}
