package device

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

// Facts are what a device has told of itself that decides which commands can work on it. What is zero is not known.
type Facts struct {
	Platform      command.Platform
	Version       string // of the operating system
	Supervised    command.Fact
	Automated     command.Fact
	UserApproved  command.Fact
	SharedIPad    command.Fact
	UserEnrolment command.Fact
	Rights        int // of the enrolment profile

	AppleSilicon     command.Fact
	RecoveryLocked   command.Fact // a Mac has a recovery lock
	FirmwareLocked   command.Fact // a Mac has a firmware password
	Lost             command.Fact // it is in lost mode
	FirmwareChanging command.Fact // and is to get another one when it restarts
}

// Things are what decides which of the things on a device this server may take away again.
type Things struct {
	Foreign     []string // identifiers of profiles that somebody else installed
	Apps        []string // identifiers of the apps that are managed
	AppsKnown   bool
	Provisioned bool // a provisioning profile was installed in this enrolment
}

// maxListed is the most identifiers that are remembered of one list; of a longer one nothing is.
const maxListed = 2000

// sharedUser is the UserID of all users of a Shared iPad.
const sharedUser = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"

// target returns what is known of a channel as the catalogue asks for it.
func (d Device) target(channel ChannelID) command.Target {
	f := d.Facts
	return command.Target{
		Platform: f.Platform, Version: f.Version, User: channel != "", Supervised: f.Supervised, Automated: f.Automated,
		UserApproved: f.UserApproved, SharedIPad: f.SharedIPad, UserEnrolment: f.UserEnrolment, Rights: f.Rights,
	}
}

// Suits returns the refusal of a command that cannot work on the channel, as far as the device is known. params are
// its keys in JSON, secrets masked. A command that the catalogue does not have suits: nobody knows better.
func (d Device) Suits(channel ChannelID, requestType string, params json.RawMessage) error {
	spec, known := command.Lookup(requestType)
	if !known {
		return nil
	}
	var keys map[string]any
	if len(params) > 0 {
		_ = json.Unmarshal(params, &keys) // what is no object has no keys that could be judged
	}
	if err := spec.Suits(d.target(channel), keys); err != nil {
		return err
	}
	if err := d.chip(requestType); err != nil {
		return err
	}
	if err := d.lost(requestType); err != nil {
		return err
	}
	return d.removes(channel, requestType, keys)
}

// removes refuses to take away what this server did not install. What is on its way to the device may be taken away
// once it is there. Source: Apple, error codes 12013, 12014 and 12038.
func (d Device) removes(channel ChannelID, requestType string, keys map[string]any) error {
	identifier, _ := keys["Identifier"].(string)
	c, _ := d.Channel(channel)
	switch {
	case requestType == "RemoveProfile" && channel == "" && slices.Contains(d.Things.Foreign, identifier) && !c.has("InstallProfile"):
		return domain.WithHint(domain.Refusef(domain.Conflict, "RemoveProfile: the profile was not installed by this server, and only who installed it may remove it"),
			"it goes when whoever installed it removes it; profileList tells which profiles are managed")
	case requestType == "RemoveProvisioningProfile" && !d.Things.Provisioned && !c.has("InstallProvisioningProfile"):
		return domain.Refusef(domain.Conflict, "RemoveProvisioningProfile: this server has installed no provisioning profile since the device enrolled, and only its own may it remove")
	case requestType == "RemoveApplication" && d.Things.AppsKnown && !slices.Contains(d.Things.Apps, identifier) &&
		!c.has("InstallApplication") && !c.has("InstallEnterpriseApplication") && !d.removesAnyApp():
		return domain.WithHint(domain.Refusef(domain.Conflict, "RemoveApplication: the app is not managed, and only managed apps may be removed"),
			"installApplication with changeManagementState Managed takes an app over; managedApplicationList tells which are managed")
	}
	return nil
}

// removesAnyApp reports whether the device lets unmanaged apps be removed too: from OS 26 on if it is supervised.
func (d Device) removesAnyApp() bool {
	major, _, _ := strings.Cut(d.Facts.Version, ".")
	return d.Facts.Supervised != command.No && (d.Facts.Version == "" || len(major) >= 2 && major >= "26")
}

func (c Channel) has(requestType string) bool {
	return slices.ContainsFunc(c.Queue, func(i *Item) bool { return i.RequestType == requestType })
}

// learned returns the device with facts changed. What waits is judged anew if they are not what they were.
func (d Device) learned(change func(*Facts)) Device {
	before := d.Facts
	change(&d.Facts)
	if d.Facts != before {
		d.Revision++
	}
	return d
}

// enrolled changes the facts as an Authenticate tells them. A new enrolment begins without any others.
func (f *Facts) enrolled(e Authenticated) {
	if !e.Renewal {
		*f = Facts{}
	}
	if e.Identity.UDID != "" || e.Identity.EnrollmentID != "" {
		f.UserEnrolment = command.Known(e.Identity.UDID == "")
	}
	if p := command.PlatformOf(e.ProductName); p != "" {
		f.Platform = p
	}
	if e.OSVersion != "" {
		f.Version = e.OSVersion
	}
	if e.AccessRights != 0 {
		f.Rights = e.AccessRights
	}
}

// tells returns the device after it has answered a command with something that decides what can work on it.
func (d Device) tells(e CommandAcknowledged) Device {
	switch e.RequestType {
	case "DeviceInformation":
		return d.toldInformation(e.Result)
	case "SecurityInfo":
		return d.toldSecurity(e.Result)
	case "EnableLostMode", "DisableLostMode":
		return d.learned(func(f *Facts) { f.Lost = command.Known(e.RequestType == "EnableLostMode") })
	case "InstallProvisioningProfile":
		d.Things.Provisioned = true
	case "InstallApplication", "InstallEnterpriseApplication":
		d.Things.Apps, d.Things.AppsKnown = nil, false // until the device lists them again
	case "InstallProfile":
		d.Things.Foreign = nil
	case "ProfileList":
		if e.Channel == "" {
			return d.toldProfiles(e.Result)
		}
	case "ManagedApplicationList":
		if e.Channel == "" {
			return d.toldApps(e)
		}
	}
	return d
}

// some reads a few members of one object of an answer, and skips the rest of it.
func some(result json.RawMessage, within string, into any, names ...string) error {
	object, err := rawjson.Get(result, within)
	if err == nil {
		object, err = rawjson.Only(object, names...)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(object, into)
}

func (d Device) toldInformation(result json.RawMessage) Device {
	var r struct {
		OSVersion, ProductName    string
		IsSupervised, IsMultiUser *bool
		IsAppleSilicon            *bool
		IsMDMLostModeEnabled      *bool
	}
	if some(result, "QueryResponses", &r, "OSVersion", "ProductName", "IsSupervised", "IsMultiUser", "IsAppleSilicon", "IsMDMLostModeEnabled") != nil {
		return d
	}
	return d.learned(func(f *Facts) {
		if p := command.PlatformOf(r.ProductName); p != "" {
			f.Platform = p
		}
		if r.OSVersion != "" {
			f.Version = r.OSVersion
		}
		tell(&f.Supervised, r.IsSupervised)
		tell(&f.SharedIPad, r.IsMultiUser)
		tell(&f.AppleSilicon, r.IsAppleSilicon)
		tell(&f.Lost, r.IsMDMLostModeEnabled)
	})
}

func (d Device) toldSecurity(result json.RawMessage) Device {
	var locks struct {
		ManagementStatus       struct{ EnrolledViaDEP, UserApprovedEnrollment, IsUserEnrollment *bool }
		FirmwarePasswordStatus struct{ PasswordExists, ChangePending *bool }
		IsRecoveryLockEnabled  *bool
	}
	if some(result, "SecurityInfo", &locks, "ManagementStatus", "FirmwarePasswordStatus", "IsRecoveryLockEnabled") != nil {
		return d
	}
	r := locks.ManagementStatus
	return d.learned(func(f *Facts) {
		tell(&f.Automated, r.EnrolledViaDEP)
		tell(&f.UserApproved, r.UserApprovedEnrollment)
		tell(&f.UserEnrolment, r.IsUserEnrollment)
		tell(&f.RecoveryLocked, locks.IsRecoveryLockEnabled)
		tell(&f.FirmwareLocked, locks.FirmwarePasswordStatus.PasswordExists)
		tell(&f.FirmwareChanging, locks.FirmwarePasswordStatus.ChangePending)
	})
}

func tell(f *command.Fact, told *bool) {
	if told != nil {
		*f = command.Known(*told)
	}
}

// toldProfiles remembers the profiles that somebody else installed. The enrolment profile itself is not one of them,
// and a Mac does not tell.
func (d Device) toldProfiles(result json.RawMessage) Device {
	list, err := rawjson.Get(result, "ProfileList")
	if err != nil {
		return d
	}
	profiles, err := rawjson.Elements(list)
	if err != nil {
		return d
	}
	var foreign []string
	for _, raw := range profiles {
		managed, _ := rawjson.Get(raw, "IsManaged")
		if string(managed) != "false" || len(foreign) == maxListed {
			continue
		}
		var p struct {
			PayloadIdentifier string
			PayloadContent    []struct{ PayloadType string }
		}
		if json.Unmarshal(raw, &p) != nil {
			return d
		}
		if !slices.ContainsFunc(p.PayloadContent, func(one struct{ PayloadType string }) bool { return one.PayloadType == "com.apple.mdm" }) {
			foreign = append(foreign, p.PayloadIdentifier)
		}
	}
	if !slices.Equal(foreign, d.Things.Foreign) {
		d.Revision++
	}
	d.Things.Foreign = foreign
	return d
}

// toldApps remembers the managed apps, if the device was asked for all of them.
func (d Device) toldApps(e CommandAcknowledged) Device {
	item, _, _ := d.Item(e.UUID)
	var told struct{ ManagedApplicationList map[string]json.RawMessage }
	if strings.Contains(string(item.Parameters), "Identifiers") || json.Unmarshal(e.Result, &told) != nil ||
		told.ManagedApplicationList == nil || len(told.ManagedApplicationList) > maxListed {
		return d
	}
	apps := make([]string, 0, len(told.ManagedApplicationList))
	for identifier := range told.ManagedApplicationList {
		apps = append(apps, identifier)
	}
	slices.Sort(apps)
	if !d.Things.AppsKnown || !slices.Equal(apps, d.Things.Apps) {
		d.Revision++
	}
	d.Things.Apps, d.Things.AppsKnown = apps, true
	return d
}
