package mdmtest

import (
	"slices"
	"time"
)

// appList answers InstalledApplicationList: all programs, or those that were asked for.
func (d *Device) appList(keys map[string]any) any {
	wanted, some := texts(keys["Identifiers"])
	managedOnly, _ := keys["ManagedAppsOnly"].(bool)
	list := []dict{}
	for _, a := range d.Apps {
		if (!some || slices.Contains(wanted, a.Identifier)) && (!managedOnly || a.Managed) {
			list = append(list, a.listed(d.Platform))
		}
	}
	return d.shelf.share(renderFragment(list))
}

func (d *Device) managedApps() dict {
	all := dict{}
	for _, a := range d.Apps {
		if !a.Managed {
			continue
		}
		all[a.Identifier] = dict{
			"Status": "Managed", "ManagementFlags": 1, "HasConfiguration": false, "HasFeedback": false, "IsValidated": true,
			"ExternalVersionIdentifier": 800_000_000 + a.Bytes>>12,
		}
	}
	return all
}

func (d *Device) profileList(u *User) []dict {
	list := []dict{}
	for _, p := range *d.profilesOf(u) {
		list = append(list, p.listed(d.Platform))
	}
	return list
}

func (d *Device) profilesOf(u *User) *[]Profile {
	if u != nil {
		return &u.Profiles
	}
	return &d.Profiles
}

func (d *Device) certificateList() []dict {
	list := []dict{}
	if id := d.Identity.Certificate; id != nil {
		list = append(list, dict{"CommonName": id.Subject.CommonName, "Data": id.Raw, "IsIdentity": true})
	}
	for _, c := range d.Certificates {
		list = append(list, dict{"CommonName": c.CommonName, "Data": c.DER, "IsIdentity": c.IsIdentity})
	}
	return list
}

// restrictions answers Restrictions. Macs answer with nothing.
func (d *Device) restrictions() dict {
	if d.Platform == MacOS {
		return dict{}
	}
	return dict{
		"restrictedBool": dict{
			"allowCamera": dict{"value": true}, "allowScreenShot": dict{"value": true}, "forceEncryptedBackup": dict{"value": true},
			"allowSimple": dict{"value": false}, "forcePIN": dict{"value": d.Passcode},
		},
		"restrictedValue": dict{"minLength": dict{"value": 6}, "maxInactivity": dict{"value": 5}},
		"intersection":    dict{}, "union": dict{},
	}
}

func (d *Device) userList() []dict {
	list := []dict{}
	for i, u := range d.Users {
		if d.Platform == MacOS {
			list = append(list, dict{
				"UserName": u.ShortName, "FullName": u.LongName, "UID": 501 + i, "UserGUID": u.UserID, "IsLoggedIn": !u.NotOnConsole,
				"MobileAccount": false, "HasSecureToken": true,
			})
			continue
		}
		list = append(list, dict{
			"UserName": u.ShortName, "IsLoggedIn": i == 0, "HasDataToSync": false, "DataQuota": 5 << 30, "DataUsed": 1 << 30,
		})
	}
	return list
}

// updates answers AvailableOSUpdates with the release that follows the installed one.
func (d *Device) updates() []dict {
	r, ok := after(d.Platform, d.OSVersion)
	if !ok {
		return []dict{}
	}
	u := dict{
		"ProductKey": string(d.Platform) + "Update" + r.version, "HumanReadableName": string(d.Platform) + " " + r.version,
		"Version": r.version, "Build": r.build, "DownloadSize": 1_300_000_000, "IsCritical": false, "RestartRequired": true,
		"AllowsInstallLater": true, "IsSecurityResponse": false,
	}
	if d.Platform == MacOS {
		u["HumanReadableNameLocale"], u["MetadataURL"] = "en", "https://swscan.example.com/metadata.smd"
		u["IsMajorOSUpdate"], u["IsFirmwareUpdate"], u["IsConfigDataUpdate"] = false, false, false
		u["AppIdentifiersToClose"], u["RequiresBootstrapToken"] = []string{}, true
		u["DeferredUntil"] = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	} else {
		u["ProductName"], u["InstallSize"] = string(d.Platform), 2_100_000_000
	}
	return []dict{u}
}
