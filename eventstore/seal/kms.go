package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// kmsPatience is how long a key management service may take for one answer.
const kmsPatience = 5 * time.Second

// A remoteKey is a MasterKey that somebody else keeps: a key management service, or a program that stands for one. It
// is asked in JSON, one question at a time:
//
//	{"op":"describe"}                                  {"key":"alias/rollcall"}
//	{"op":"wrap","subject":"…","bytes":"base64"}       {"key":"alias/rollcall","bytes":"base64"}
//	{"op":"unwrap","subject":"…","bytes":"base64"}     {"key":"alias/rollcall","bytes":"base64"}
//
// or answers {"error":"why"}, which it means. The subject is a pseudonym; whoever unwraps must name the same one.
type remoteKey struct {
	where string // for people
	id    string
	ask   func(ctx context.Context, question []byte) (answer []byte, err error)
}

type kmsQuestion struct {
	Op      string `json:"op"`
	Subject string `json:"subject,omitempty"`
	Bytes   []byte `json:"bytes,omitempty"`
}

type kmsAnswer struct {
	Key   string `json:"key"`
	Bytes []byte `json:"bytes"`
	Error string `json:"error"`
}

// describe asks which key it is.
func (k *remoteKey) describe(ctx context.Context) error {
	a, err := k.question(ctx, kmsQuestion{Op: "describe"})
	if err == nil && a.Key == "" {
		err = errors.New("it does not say which key it keeps")
	}
	k.id = a.Key
	return err
}

// ID returns the key's name, as the service calls it.
func (k *remoteKey) ID() string { return k.id }

// Wrap has the bytes sealed for the subject. ErrUnavailable: nobody answers.
func (k *remoteKey) Wrap(ctx context.Context, subject string, plain []byte) ([]byte, error) {
	a, err := k.question(ctx, kmsQuestion{"wrap", subject, plain})
	if err == nil && len(a.Bytes) == 0 {
		err = errors.New("it answered nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", k.where, err)
	}
	return a.Bytes, nil
}

// Unwrap has opened what Wrap sealed. ErrUnavailable: nobody answers; ErrBroken: the service refuses.
func (k *remoteKey) Unwrap(ctx context.Context, subject string, wrapped []byte) ([]byte, error) {
	a, err := k.question(ctx, kmsQuestion{"unwrap", subject, wrapped})
	if _, meant := errors.AsType[*kmsRefusal](err); meant {
		err = errors.Join(err, ErrBroken)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", k.where, err)
	}
	return a.Bytes, nil
}

// A kmsRefusal is a service's own no.
type kmsRefusal struct{ why string }

func (r *kmsRefusal) Error() string { return "it refuses: " + r.why }

// question asks, and reads the answer. What is no answer says that the service is away.
func (k *remoteKey) question(ctx context.Context, q kmsQuestion) (a kmsAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, kmsPatience)
	defer cancel()
	text, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	defer clear(text)
	said, err := k.ask(ctx, text)
	defer clear(said)
	if err != nil {
		return a, fmt.Errorf("%w: %w", eventstore.ErrUnavailable, err)
	}
	if err := json.Unmarshal(said, &a); err != nil {
		return kmsAnswer{}, fmt.Errorf("%w: its answer is no JSON: %w", eventstore.ErrUnavailable, plainError(err))
	}
	switch {
	case a.Error != "":
		return a, &kmsRefusal{a.Error}
	case k.id != "" && a.Key != k.id:
		return a, &kmsRefusal{fmt.Sprintf("it answered for the key %q, not %q", a.Key, k.id)}
	}
	return a, nil
}
