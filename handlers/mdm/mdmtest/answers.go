package mdmtest

import (
	"context"
	"slices"
)

// carryOut does what a command says and returns the status and what the report tells beside it.
func (d *Device) carryOut(u *User, c *known) (status string, keys dict) {
	if u != nil && !d.userChannelKnows(c.requestType) || u == nil && !d.deviceChannelKnows(c.requestType) {
		return failed, chain("MCMDMErrorDomain", 12021, `“`+c.requestType+`” is not a valid request type.`)
	}
	switch c.requestType {
	case "DeviceInformation":
		return acknowledged, dict{"QueryResponses": d.attest(d.information(u, c.keys["Queries"]), c.keys)}
	case "SecurityInfo":
		return acknowledged, dict{"SecurityInfo": d.security(u)}
	case "InstalledApplicationList":
		return acknowledged, dict{"InstalledApplicationList": d.appList(c.keys)}
	case "ProfileList":
		return acknowledged, dict{"ProfileList": d.profileList(u)}
	case "CertificateList":
		return acknowledged, dict{"CertificateList": d.certificateList()}
	case "ProvisioningProfileList":
		return acknowledged, dict{"ProvisioningProfileList": []dict{}}
	case "Restrictions":
		return acknowledged, dict{"GlobalRestrictions": d.restrictions(), "ProfileRestrictions": dict{}}
	case "ManagedApplicationList":
		return acknowledged, dict{"ManagedApplicationList": d.managedApps()}
	case "UserList":
		return acknowledged, dict{"Users": d.userList()}
	case "AvailableOSUpdates":
		return acknowledged, dict{"AvailableOSUpdates": d.updates()}
	}
	status, keys = d.act(u, c)
	if status == acknowledged {
		d.forget()
	}
	return status, keys
}

// act carries out a command that changes the device.
func (d *Device) act(u *User, c *known) (status string, keys dict) {
	switch c.requestType {
	case "InstallProfile":
		return d.installProfile(u, c.keys)
	case "RemoveProfile":
		return d.removeProfile(u, c.keys)
	case "InstallApplication":
		return d.installApp(c.keys)
	case "RemoveApplication":
		return d.removeApp(c.keys)
	case "Settings":
		return d.set(c.keys)
	case "DeviceLock":
		d.Locked = true
		return acknowledged, d.lockResult(c.keys)
	case "ClearPasscode":
		return d.clearPasscode(c.keys)
	case "ShutDownDevice":
		d.Off = true
	case "DeviceConfigured":
		d.Awaiting = false
	case "EraseDevice", "RestartDevice", "DeclarativeManagement":
	default:
		return formatError, chain("MCMDMErrorDomain", 12021, `“`+c.requestType+`” is not a valid request type.`)
	}
	return acknowledged, nil
}

// aftermath is what the device does once the server has accepted that a command is done.
func (d *Device) aftermath(ctx context.Context, done Delivery) error {
	if done.Status != acknowledged {
		return nil
	}
	switch done.RequestType {
	case "EraseDevice": // without a word of goodbye
		d.Change(func(d *Device) {
			d.enrolled, d.Passcode, d.Locked, d.Awaiting, d.Settings = false, false, false, false, dict{}
			d.Profiles = d.Profiles[:1:1]
		})
	case "RemoveProfile":
		if !d.holds(EnrolmentProfile) {
			return d.CheckOut(ctx)
		}
	}
	return nil
}

func (d *Device) holds(identifier string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.Profiles, func(p Profile) bool { return p.Identifier == identifier })
}

// Channels on which commands are known. Source: Apple's command schema, iOS 18.1 and macOS 15.1.
var (
	macUserCommands = []string{
		"CertificateList", "DeclarativeManagement", "DeviceInformation", "InstallApplication", "InstallProfile",
		"InstalledApplicationList", "ManagedApplicationList", "ProfileList", "RemoveProfile", "SecurityInfo", "Settings",
	}
	sharedUserCommands = []string{
		"DeclarativeManagement", "DeviceInformation", "InstallProfile", "ProfileList", "RemoveProfile", "Restrictions", "Settings",
	}
	noMacCommands = []string{"ClearPasscode"}
	noTVCommands  = []string{"ClearPasscode", "DeviceLock", "ShutDownDevice", "UserList"}
)

func (d *Device) userChannelKnows(requestType string) bool {
	if d.Platform == MacOS {
		return slices.Contains(macUserCommands, requestType)
	}
	return slices.Contains(sharedUserCommands, requestType)
}

func (d *Device) deviceChannelKnows(requestType string) bool {
	switch d.Platform {
	case MacOS:
		return !slices.Contains(noMacCommands, requestType)
	case TvOS:
		return !slices.Contains(noTVCommands, requestType)
	}
	return requestType != "UserList" || d.SharedIPad
}
