package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
)

// A Webhook is a program elsewhere that knows which challenges are good. It is sent
// {"challenge","publicKey","name","address"} and answers 200 with {"allow":true}, and if it likes "invitation" (default if
// absent) and "once". Whatever else it answers, or nothing within the time, lets nobody in.
type Webhook struct {
	URL     string
	Timeout time.Duration // 5 s if zero
	Client  *http.Client  // one that follows no redirects if nil
}

// A verdict is what a webhook answers.
type verdict struct {
	Allow      bool   `json:"allow"`
	Invitation string `json:"invitation"`
	Once       bool   `json:"once"`
}

// maxVerdict is the longest answer that is read, in bytes.
const maxVerdict = 4 << 10

func (w *Webhook) ask(ctx context.Context, challenge string, asked Asked) (v verdict, err error) {
	timeout := w.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	question, err := json.Marshal(map[string]string{"challenge": challenge, "publicKey": asked.PublicKey, "name": asked.Name, "address": asked.Address})
	if err != nil {
		return v, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(question))
	if err != nil {
		return v, fmt.Errorf("ask about a challenge: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := w.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	answer, err := client.Do(req)
	if err != nil {
		return v, fmt.Errorf("ask about a challenge: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxVerdict))
	if err != nil {
		return v, fmt.Errorf("ask about a challenge: %w", err)
	}
	if answer.StatusCode != http.StatusOK || json.Unmarshal(text, &v) != nil || !v.Allow {
		return verdict{}, domain.Refusef(domain.Forbidden, "whoever knows the challenges elsewhere does not allow this one")
	}
	if v.Invitation == "" {
		v.Invitation = enrollment.Default
	}
	return v, nil
}
