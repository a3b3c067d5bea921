package handlers

import (
	"context"
	"crypto/subtle"

	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/projections"
)

// DataPath is where, below the server's address, devices find the data of declarations; a mark follows.
const DataPath = "/mdm/data/"

// A Download is data that a device asks for.
type Download struct {
	Channel    device.ChannelID // whose set it belongs to
	Identifier string           // of the declaration
	declaration.Content
}

// address is where one channel finds the data of one revision of a declaration. Nobody can guess it, and it is of no use to
// any other device.
func (d *Declarations) address(deviceID string, channel device.ChannelID, id, token string) string {
	return d.URL + DataPath + d.mark(deviceID, channel, id, token)
}

func (d *Declarations) mark(deviceID string, channel device.ChannelID, id, token string) string {
	return d.Stamp("download", deviceID, string(channel), id, token)[:40]
}

// Download returns the data that a mark stands for, if they belong to what a channel of this device is to have now.
func (d *Declarations) Download(ctx context.Context, deviceID, mark string) (download Download, found bool, err error) {
	users, err := d.Views.Users(ctx, deviceID, projections.Now)
	if err != nil {
		return download, false, err
	}
	channels := []device.ChannelID{""}
	for _, u := range users {
		channels = append(channels, u.ID)
	}
	for _, channel := range channels {
		set, _, err := d.Set(ctx, deviceID, channel)
		if err != nil {
			return download, false, err
		}
		for _, item := range set.Items {
			if item.Payload != nil { // one of our own has no data
				continue
			}
			if d.isMark(mark, deviceID, channel, item.Identifier, item.ServerToken) {
				return d.load(ctx, mark, deviceID, channel, item.Identifier)
			}
		}
	}
	return download, false, nil
}

func (d *Declarations) isMark(mark, deviceID string, channel device.ChannelID, id, token string) bool {
	return subtle.ConstantTimeCompare([]byte(mark), []byte(d.mark(deviceID, channel, id, token))) == 1
}

// load reads the data, if they are still those that the mark stands for: views may be behind.
func (d *Declarations) load(ctx context.Context, mark, deviceID string, channel device.ChannelID, id string) (download Download, found bool, err error) {
	stored, _, err := d.Declarations.Load(ctx, id)
	if err != nil || !d.isMark(mark, deviceID, channel, id, stored.ServerToken) {
		return download, false, err
	}
	content, here := stored.Content()
	return Download{channel, id, content}, here, nil
}
