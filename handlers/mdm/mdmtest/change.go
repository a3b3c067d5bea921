package mdmtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

func (d *Device) installProfile(u *User, keys map[string]any) (status string, answer dict) {
	data, ok := keys["Payload"].([]byte)
	if !ok {
		return formatError, chain("MCMDMErrorDomain", 12008, "InstallProfile lacks its Payload.")
	}
	p, err := parseProfile(data)
	if err != nil {
		return failed, chain("MCProfileErrorDomain", 1000, "Invalid Profile: "+err.Error())
	}
	list := d.profilesOf(u)
	if i := profileAt(*list, p.Identifier); i >= 0 {
		*list = slices.Clone(*list)
		(*list)[i] = p
	} else {
		*list = append(slices.Clip(*list), p)
	}
	return acknowledged, nil
}

func (d *Device) removeProfile(u *User, keys map[string]any) (status string, answer dict) {
	id, _ := keys["Identifier"].(string)
	list := d.profilesOf(u)
	i := profileAt(*list, id)
	switch {
	case id == "":
		return formatError, chain("MCMDMErrorDomain", 12008, "RemoveProfile lacks its Identifier.")
	case i < 0:
		return failed, chain("MCMDMErrorDomain", 12075, fmt.Sprintf("The profile “%s” is not installed.", id))
	case !(*list)[i].Managed:
		return failed, chain("MCMDMErrorDomain", 12013, fmt.Sprintf("The profile “%s” is not managed.", id))
	}
	*list = slices.Delete(slices.Clone(*list), i, i+1)
	return acknowledged, nil
}

func profileAt(list []Profile, id string) int {
	return slices.IndexFunc(list, func(p Profile) bool { return p.Identifier == id })
}

func (d *Device) appAt(match func(App) bool) int { return slices.IndexFunc(d.Apps, match) }

// installApp accepts an app. It is there at once, which real devices need a while for.
func (d *Device) installApp(keys map[string]any) (status string, answer dict) {
	store, _ := number(keys["iTunesStoreID"])
	id, _ := keys["Identifier"].(string)
	manifest, _ := keys["ManifestURL"].(string)
	if given := btoi(store != 0) + btoi(id != "") + btoi(manifest != ""); given != 1 {
		return formatError, chain("MCMDMErrorDomain", 12008, "Exactly one of iTunesStoreID, Identifier and ManifestURL is needed.")
	}
	i := d.appAt(func(a App) bool { return a.Identifier == id || store != 0 && a.StoreID == store })
	if i >= 0 && d.Apps[i].Managed {
		return failed, merge(chain("MCMDMErrorDomain", 12025, "The app is already installed."), dict{"RejectionReason": "AppAlreadyInstalled"})
	}
	d.Apps = slices.Clone(d.Apps)
	if i >= 0 {
		d.Apps[i].Managed = true
	} else {
		if id == "" {
			id = fmt.Sprintf("com.example.app%d", max(store, len(d.Apps)))
		}
		d.Apps = append(d.Apps, App{Identifier: id, Name: id[strings.LastIndex(id, ".")+1:], Version: "1.0", Bytes: 50 << 20, Managed: true, StoreID: store})
		i = len(d.Apps) - 1
	}
	return acknowledged, dict{"Identifier": d.Apps[i].Identifier, "State": "Queued"}
}

func (d *Device) removeApp(keys map[string]any) (status string, answer dict) {
	id, _ := keys["Identifier"].(string)
	i := d.appAt(func(a App) bool { return a.Identifier == id })
	switch {
	case id == "":
		return formatError, chain("MCMDMErrorDomain", 12008, "RemoveApplication lacks its Identifier.")
	case i < 0 || !d.Apps[i].Managed:
		return failed, chain("MCMDMErrorDomain", 12038, "The app “"+id+"” is not managed.")
	}
	d.Apps = slices.Delete(slices.Clone(d.Apps), i, i+1)
	return acknowledged, nil
}

// set carries out Settings. Each item has a status of its own.
func (d *Device) set(keys map[string]any) (status string, answer dict) {
	items, ok := keys["Settings"].([]any)
	if !ok {
		return formatError, chain("MCMDMErrorDomain", 12008, "Settings lacks its Settings.")
	}
	results := []dict{}
	for _, v := range items {
		item, _ := v.(map[string]any)
		name, _ := item["Item"].(string)
		result := dict{"Item": name, "Status": acknowledged}
		if name == "" {
			result = merge(dict{"Item": "", "Status": failed}, chain("MCSettingsErrorDomain", 28000, "The setting has no Item."))
		}
		if v, ok := item[name]; ok {
			d.Settings[name] = v
		}
		if name, ok := item["DeviceName"].(string); ok {
			d.Name = name
		}
		results = append(results, result)
	}
	return acknowledged, dict{"Settings": results}
}

// lockResult says what became of the message on the lock screen.
func (d *Device) lockResult(keys map[string]any) dict {
	_, message := keys["Message"]
	_, phone := keys["PhoneNumber"]
	switch {
	case d.Platform == MacOS || !message && !phone:
		return nil
	case !d.Passcode:
		return dict{"MessageResult": "No passcode set"}
	}
	return dict{"MessageResult": "Success"}
}

func (d *Device) clearPasscode(keys map[string]any) (status string, answer dict) {
	token, _ := keys["UnlockToken"].([]byte)
	if len(d.UnlockToken) == 0 || !bytes.Equal(token, d.UnlockToken) {
		return failed, chain("MCPasscodeErrorDomain", 5013, "The passcode could not be cleared.")
	}
	d.Passcode, d.Locked = false, false
	return acknowledged, nil
}

func merge(a, b dict) dict {
	for k, v := range b {
		a[k] = v
	}
	return a
}

// number reads an integer as the plist decoder gives it.
func number(v any) (int, bool) {
	switch v := v.(type) {
	case uint64:
		return int(v), true
	case int64:
		return int(v), true
	}
	return 0, false
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
