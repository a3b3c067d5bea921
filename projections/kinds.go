package projections

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/rollcall-mdm/rollcall/domain/command"
)

// A Kind is devices that are alike in all that decides what can work on them.
type Kind struct {
	Example Device // one of them
	Devices int
}

// Target returns what is known of a device as Apple's catalogues ask for it.
func (d Device) Target() command.Target {
	t := command.Target{
		Platform: map[Platform]command.Platform{
			IOS: command.IOS, IPadOS: command.IOS, MacOS: command.MacOS, TVOS: command.TVOS, VisionOS: command.VisionOS, WatchOS: command.WatchOS,
		}[d.Platform],
		Version: d.OSVersion, Supervised: asFact(d.Supervised), UserApproved: asFact(d.UserApproved),
	}
	if d.EnrollmentType != "" {
		t.UserEnrolment = command.Known(d.EnrollmentType == "user")
	}
	if d.EnrollmentType == "automated" {
		t.Automated = command.Yes
	}
	return t
}

func asFact(is *bool) command.Fact {
	if is == nil {
		return command.Unknown
	}
	return command.Known(*is)
}

// Kinds tells of which kinds the devices are that a query chooses, those with the most devices first. It asks for no page.
func (v *Views) Kinds(ctx context.Context, q DeviceQuery) (list []Kind, err error) {
	q.Page = Page{First: MaxPage}
	s, err := newSelection(q)
	if err != nil {
		return nil, err
	}
	err = v.read(ctx, func(tx Tx) error {
		if err := s.assemble(tx); err != nil {
			return err
		}
		album, byLook := newAlbum(tx, q.AsOf), map[string]*kindred{}
		for {
			found, err := s.find(tx)
			if err != nil {
				return err
			}
			if err := album.kinds(found[:min(len(found), s.window.n)], byLook); err != nil {
				return err
			}
			if len(found) <= s.window.n {
				break
			}
			s.window.after = &found[s.window.n-1].place
		}
		list, err = album.examples(byLook)
		return err
	})
	return list, err
}

// A kindred is a kind of which no example was looked up yet.
type kindred struct {
	example int64
	devices int
}

// kinds adds devices to the kinds that they are of.
func (a *album) kinds(of []found, byLook map[string]*kindred) error {
	if len(of) == 0 {
		return nil
	}
	ids := make([]int64, len(of))
	for i, f := range of {
		ids[i] = f.place.Device
	}
	covers, args := a.at("s")
	return a.tx.Query(`SELECT s.platform, s.os_version, s.type, s.supervised, s.user_approved, MIN(s.device), COUNT(*) FROM fleet_spans s
		WHERE s.device IN (`+marks(len(ids))+`) AND `+covers+` GROUP BY 1, 2, 3, 4, 5`, append(anys(ids), args...), func(r Row) error {
		look := fmt.Sprintf("%s %s %s %t %d %t %d", r.Text(0), r.Text(1), r.Text(2), r.Null(3), r.Int(3), r.Null(4), r.Int(4))
		if byLook[look] == nil {
			byLook[look] = &kindred{example: r.Int(5)}
		}
		byLook[look].devices += int(r.Int(6))
		return nil
	})
}

func (a *album) examples(byLook map[string]*kindred) (list []Kind, err error) {
	all := make([]*kindred, 0, len(byLook))
	for _, k := range byLook {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *kindred) int {
		return cmp.Or(cmp.Compare(b.devices, a.devices), cmp.Compare(a.example, b.example))
	})
	for _, k := range all {
		d, _, err := a.device(k.example)
		if err != nil {
			return nil, err
		}
		list = append(list, Kind{d, k.devices})
	}
	return list, nil
}
