package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// A Witness is somebody elsewhere who keeps checkpoints, so that not even the server's owner can change the past
// without being found out.
type Witness interface {
	Witness(ctx context.Context, checkpoint []byte) error
	String() string // names it, without a secret
}

// ParseWitness reads a setting:
//
//	file:/path         checkpoints are appended to a file, which may be a mount that only grows
//	https://…, http:   each is posted as text/plain; any 2xx answer is thanks
//	syslog:            a line to this machine's syslog
//	syslog://host:514  the same over UDP, which makes nobody wait
func ParseWitness(setting string) (Witness, error) {
	if path, ok := strings.CutPrefix(setting, "file:"); ok && path != "" {
		return fileWitness(path), nil
	}
	u, err := url.Parse(setting)
	if err == nil {
		switch u.Scheme {
		case "http", "https":
			if u.Host != "" {
				return &webhook{u}, nil
			}
		case "syslog":
			if u.Host == "" {
				return syslogWitness{}, nil
			}
			return syslogWitness{"udp", u.Host}, nil
		}
	}
	return nil, fmt.Errorf("%q is no witness: give file:/path, https://…, syslog: or syslog://host:514", shorten(setting))
}

type fileWitness string

func (w fileWitness) String() string { return "file:" + string(w) }

func (w fileWitness) Witness(_ context.Context, checkpoint []byte) error {
	f, err := os.OpenFile(string(w), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.Clone(checkpoint), '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

type webhook struct{ url *url.URL }

func (w *webhook) String() string { return w.url.Scheme + "://" + w.url.Host } // the path may be a secret

func (w *webhook) Witness(ctx context.Context, checkpoint []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(checkpoint))
	if err != nil {
		return errors.New("its address is broken")
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var trouble *url.Error
		if errors.As(err, &trouble) {
			err = trouble.Err // without the address
		}
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.Body.Close(); resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return nil
}

// A syslogWitness writes one line, for syslog knows no others: size and root, and the whole checkpoint in base64.
type syslogWitness struct{ network, address string }

func (w syslogWitness) String() string { return "syslog:" + w.address }

func (w syslogWitness) Witness(_ context.Context, checkpoint []byte) error {
	out, err := syslog.Dial(w.network, w.address, syslog.LOG_NOTICE|syslog.LOG_AUTHPRIV, "rollcall")
	if err != nil {
		return err
	}
	c, err := parseCheckpoint(string(checkpoint))
	if err == nil {
		err = out.Notice(fmt.Sprintf("checkpoint origin=%s size=%d root=%s note=%s",
			c.Origin, c.Size, c.Root, base64.StdEncoding.EncodeToString(checkpoint)))
	}
	return errors.Join(err, out.Close())
}
