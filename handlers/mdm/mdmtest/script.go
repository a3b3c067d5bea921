package mdmtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Script plays awkward devices, one line after another. Lines that begin with # are for people.
//
//	device NAME iOS|iPadOS|macOS|tvOS     makes a device
//	enrol NAME                            Authenticate and TokenUpdate
//	user NAME/USER                        TokenUpdate of a user, whom it makes if need be
//	say NAME[/USER] MESSAGE KEY=VALUE…    any check-in message; KEY:=JSON, KEY@=text that is data
//	order NAME[/USER] REQUESTTYPE [JSON]  orders a command
//	report NAME[/USER] STATUS [last|UUID] KEY=VALUE…   on the command channel
//	lost NAME[/USER] STATUS [last|UUID]   the same, but the answer never arrives
//	again NAME[/USER]                     the last report of the channel once more
//	identity NAME new|back|of OTHER|ahead MINUTES   another certificate: fresh, the one before, another device's, or one of a clock that is ahead
//	want STATUS|REQUESTTYPE|nothing|text…   what the last answer must be
//	repeat N LINE ; LINE…                 lines again and again
type Script struct {
	Fleet   Fleet // how devices are made; its Size and Mix are not used
	Orderer *Orderer
	Out     io.Writer // is told each line and its answer

	devices map[string]*scripted
	last    Answer
}

// A scripted is a device of a script.
type scripted struct {
	*Device
	before Identity
	last   map[string]string // CommandUUID that was handed out last, by user
	said   map[string]func(context.Context) (Answer, error)
}

// Play plays the script's lines. It ends at the first that cannot be played or does not come out as wanted.
func (s *Script) Play(ctx context.Context, text io.Reader) error {
	s.devices = map[string]*scripted{}
	lines := bufio.NewScanner(text)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.line(ctx, line); err != nil {
			return fmt.Errorf("line %d, %q: %w", n, line, err)
		}
	}
	return lines.Err()
}

func (s *Script) line(ctx context.Context, line string) error {
	words := strings.Fields(line)
	if words[0] == "repeat" {
		return s.repeat(ctx, line)
	}
	if words[0] == "want" {
		return s.want(strings.TrimSpace(strings.TrimPrefix(line, "want")))
	}
	if len(words) < 2 {
		return errors.New("it names nobody")
	}
	name, user, _ := strings.Cut(words[1], "/")
	if words[0] == "device" {
		return s.device(name, words[2:])
	}
	d := s.devices[name]
	if d == nil {
		return fmt.Errorf("there is no device %s: make it with `device`", name)
	}
	err := s.act(ctx, d, user, words)
	fmt.Fprintf(s.Out, "%-60s %s\n", line, s.told())
	return err
}

func (s *Script) repeat(ctx context.Context, line string) error {
	words := strings.SplitN(line, " ", 3)
	n, err := strconv.Atoi(words[min(1, len(words)-1)])
	if err != nil || len(words) < 3 {
		return errors.New("usage: repeat N LINE ; LINE…")
	}
	for range n {
		for one := range strings.SplitSeq(words[2], ";") {
			if err := s.line(ctx, strings.TrimSpace(one)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Script) device(name string, words []string) error {
	if len(words) != 1 || s.devices[name] != nil {
		return errors.New("usage: device NAME iOS|iPadOS|macOS|tvOS, once for each name")
	}
	f := s.Fleet
	f.Size, f.Mix, f.Seed = 1, []Platform{Platform(words[0])}, f.Seed+uint64(len(s.devices))
	if !slices.Contains([]Platform{IOS, IPadOS, MacOS, TvOS}, f.Mix[0]) {
		return fmt.Errorf("no platform is called %s", words[0])
	}
	made, err := f.Make()
	if err != nil {
		return err
	}
	s.devices[name] = &scripted{Device: made[0], last: map[string]string{}, said: map[string]func(context.Context) (Answer, error){}}
	return nil
}

// act plays one line of a device.
func (s *Script) act(ctx context.Context, d *scripted, user string, words []string) (err error) {
	s.last = Answer{}
	switch words[0] {
	case "enrol":
		return s.enrol(ctx, d)
	case "user":
		s.last, err = d.Say(ctx, "TokenUpdate", merge(d.named(user), dict{
			"Topic": d.Server.Topic, "Token": d.user(user).Push.Token, "PushMagic": d.user(user).Push.Magic,
		}))
		return err
	case "say":
		keys, err := pairs(words[3:])
		if err == nil {
			s.last, err = d.Say(ctx, words[2], merge(d.named(user), keys))
		}
		return err
	case "order":
		return s.order(ctx, d, user, words[2:])
	case "report", "lost", "again":
		return s.report(ctx, d, user, words)
	case "identity":
		return s.identity(d, words[2:])
	}
	return fmt.Errorf("%q is no word of a script", words[0])
}

func (s *Script) enrol(ctx context.Context, d *scripted) (err error) {
	if s.last, err = d.Say(ctx, "Authenticate", d.describe()); err != nil || s.last.Status != 200 {
		return err
	}
	s.last, err = d.Say(ctx, "TokenUpdate", dict{"Topic": d.Server.Topic, "Token": d.Push.Token, "PushMagic": d.Push.Magic})
	return err
}

func (s *Script) order(ctx context.Context, d *scripted, user string, words []string) error {
	q := Question{RequestType: words[0]}
	if len(words) > 1 {
		if err := json.Unmarshal([]byte(strings.Join(words[1:], " ")), &q.Keys); err != nil {
			return fmt.Errorf("read the command's keys: %w", err)
		}
	}
	channel := d.ID()
	if user != "" {
		channel = d.ChannelID(d.user(user))
	}
	_, err := s.Orderer.Order(ctx, channel, q)
	return err
}

// report speaks on the command channel, and remembers what it is handed.
func (s *Script) report(ctx context.Context, d *scripted, user string, words []string) error {
	if words[0] != "again" {
		status, uuid := words[2], ""
		rest := words[3:]
		if len(rest) > 0 && !strings.Contains(rest[0], "=") {
			uuid, rest = strings.Replace(rest[0], "last", d.last[user], 1), rest[1:]
		}
		keys, err := pairs(rest)
		if err != nil {
			return err
		}
		d.said[user] = func(ctx context.Context) (Answer, error) {
			u := d.user(user)
			return d.Report(ctx, u, status, uuid, keys)
		}
	}
	say := d.said[user]
	if say == nil {
		return errors.New("nothing was said before")
	}
	answer, err := say(ctx)
	if err != nil || words[0] == "lost" {
		return err
	}
	s.last = answer
	if c, handed, err := answer.Command(); err == nil && handed {
		d.last[user] = c.UUID
	}
	return nil
}

// identity gives the device another certificate.
func (s *Script) identity(d *scripted, words []string) error {
	before := d.Identity
	switch {
	case len(words) == 1 && words[0] == "back":
		d.Identity = d.before
	case len(words) == 2 && words[0] == "of" && s.devices[words[1]] != nil:
		d.Identity = s.devices[words[1]].Identity
	case len(words) == 1 && words[0] == "new", len(words) == 2 && words[0] == "ahead":
		ahead := 0
		if len(words) == 2 {
			var err error
			if ahead, err = strconv.Atoi(words[1]); err != nil {
				return err
			}
		}
		id, err := s.Fleet.CA.issueFrom(d.ID(), time.Duration(ahead)*time.Minute) // a clock that is right begins now
		if err != nil {
			return err
		}
		d.Identity = id
	default:
		return errors.New("usage: identity NAME new|back|of OTHER|ahead MINUTES")
	}
	d.before = before
	d.own.header = [2]string{} // it is shown from now on
	return nil
}

// want compares the last answer with what it must be.
func (s *Script) want(what string) error {
	command, handed, _ := s.last.Command()
	switch {
	case what == strconv.Itoa(s.last.Status),
		what == "nothing" && s.last.Status == 200 && len(s.last.Body) == 0,
		handed && what == command.RequestType,
		what != "nothing" && strings.Contains(string(s.last.Body), what):
		return nil
	}
	return fmt.Errorf("the last answer is %s", s.told())
}

// told is the last answer in few words.
func (s *Script) told() string {
	command, handed, _ := s.last.Command()
	switch {
	case s.last.Status == 0:
		return "-"
	case handed && command.RequestType != "":
		return fmt.Sprint(s.last.Status, " ", command.RequestType)
	}
	return fmt.Sprint(s.last.Status, ", ", len(s.last.Body), " bytes")
}

// user returns the device's user of that short name, new if need be; nil for no name.
func (d *scripted) user(name string) *User {
	if name == "" {
		return nil
	}
	for _, u := range d.Users {
		if u.ShortName == name {
			return u
		}
	}
	return d.AddUser(name, "")
}

func (d *scripted) named(user string) dict {
	if user == "" {
		return dict{}
	}
	return d.userKeys(d.user(user))
}

// pairs reads KEY=VALUE, KEY:=JSON and KEY@=text that is data.
func pairs(words []string) (dict, error) {
	keys := dict{}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, fmt.Errorf("%q is no KEY=VALUE", word)
		}
		switch key[max(len(key)-1, 0):] {
		case ":":
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return nil, fmt.Errorf("read %s: %w", key, err)
			}
			keys[key[:len(key)-1]] = v
		case "@":
			keys[key[:len(key)-1]] = []byte(value)
		default:
			keys[key] = value
		}
	}
	return keys, nil
}
